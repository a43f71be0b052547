use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use backstop_error_taxonomy::{Class, Classifier, Classify, Effect, Kind, Transience};
use reqwest::blocking::Client;
use reqwest::dns::{Name, Resolve, Resolving};

/// A server that answers every connection with `answer` and closes it; an empty one never answers.
fn serve(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 1_024];
            if connection.read(&mut request).is_ok() && !answer.is_empty() {
                drop(connection.write_all(answer.as_bytes()));
            } else {
                // Dropped, it would be closed.
                open.push(connection);
            }
        }
    });
    address
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap()
}

fn class_of(error: &reqwest::Error) -> Class {
    assert_eq!(Classifier::standard().classify(error), error.class());
    error.class()
}

#[test]
fn a_refused_connection_has_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client().post(format!("http://{address}/order")).send().unwrap_err();
    assert_eq!(class_of(&error), Class::of(Kind::Connection).with_effect(Effect::NotApplied));
    assert!(error.class().may_retry(false));
}

#[test]
fn a_withheld_answer_leaves_the_outcome_open() {
    let url = format!("http://{}/order", serve(String::new()));
    let error = client().post(url).timeout(Duration::from_millis(50)).send().unwrap_err();
    assert_eq!(class_of(&error), Class::of(Kind::Timeout));
}

#[test]
fn a_wrong_url_is_never_sent() {
    let error = client().get("no url").send().unwrap_err();
    assert_eq!(class_of(&error), Class::of(Kind::Invalid));
}

/// Knows no name; a real one would ask the network.
struct NoNames;

impl Resolve for NoNames {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(std::future::ready(Err("no such name".into())))
    }
}

#[test]
fn a_name_that_does_not_resolve_has_sent_nothing() {
    let client = Client::builder().no_proxy().dns_resolver(Arc::new(NoNames)).build().unwrap();
    let error = client.get("http://venue.invalid/").send().unwrap_err();
    assert!(error.is_dns(), "{error:?}");
    assert_eq!(class_of(&error), Class::of(Kind::Connection).with_effect(Effect::NotApplied));
}

#[test]
fn a_status_is_classified_as_one() {
    let url =
        format!("http://{}/", serve("HTTP/1.1 429 Slow Down\r\ncontent-length: 0\r\n\r\n".into()));
    let error = client().get(url).send().unwrap().error_for_status().unwrap_err();
    assert_eq!(class_of(&error), Class::of(Kind::RateLimited));
}

#[test]
fn an_answer_that_cannot_be_read_leaves_the_outcome_open() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<ok>";
    let url = format!("http://{}/order", serve(answer.into()));
    let error = client().post(url).send().unwrap().json::<u8>().unwrap_err();
    let class = class_of(&error);
    assert_eq!((class.kind(), class.effect()), (Kind::Data, Effect::Unknown));
    assert_eq!(class.transience(), Transience::Permanent);
}

#[test]
fn a_body_that_breaks_off_is_not_a_refusal() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{\"id\":";
    let url = format!("http://{}/order", serve(answer.into()));
    let error = client().post(url).send().unwrap().bytes().unwrap_err();
    assert_eq!(class_of(&error).effect(), Effect::Unknown);
}

#[test]
fn redirects_in_a_circle_are_a_matter_of_configuration() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n";
    let error = client().get(format!("http://{}/", serve(answer.into()))).send().unwrap_err();
    assert_eq!(class_of(&error), Class::of(Kind::Config).with_effect(Effect::Unknown));
}

#[test]
fn a_connection_closed_without_an_answer_leaves_the_outcome_open() {
    // A status line that breaks off.
    let url = format!("http://{}/order", serve("HTTP/1".into()));
    let error = client().post(url).send().unwrap_err();
    assert_eq!(class_of(&error), Class::of(Kind::Connection));
}
