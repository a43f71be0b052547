use std::time::Duration;

use backstop_error_taxonomy::drivers::KafkaClient;
use backstop_error_taxonomy::{Class, Classifier, Classify, Effect, Kind, Severity, Transience};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

fn class_of(error: &KafkaError) -> Class {
    assert_eq!(Classifier::standard().classify(error), error.class());
    error.class()
}

/// A port of this machine where nobody listens.
fn nobody() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", "127.0.0.1:1").set("log_level", "0");
    config
}

#[test]
fn a_full_queue_has_sent_nothing() {
    let config = nobody().set("queue.buffering.max.messages", "1").clone();
    let producer: BaseProducer = config.create().unwrap();
    let record = || BaseRecord::<(), str>::to("orders").payload("1");
    producer.send(record()).map_err(|(error, _)| error).unwrap();
    let (full, _) = producer.send(record()).unwrap_err();
    assert_eq!(class_of(&full), KafkaClient::QueueFull.class());
    assert!(full.class().may_retry(false));
}

#[test]
fn a_wrong_setting_is_a_matter_of_configuration() {
    let error = nobody().set("no.such.setting", "1").create::<BaseProducer>().err().unwrap();
    assert_eq!(class_of(&error), Class::of(Kind::Config));
}

#[test]
fn a_transaction_says_what_it_asks_for() {
    let create = || nobody().set("transactional.id", "t").create::<BaseProducer>().unwrap();
    // No broker answers, so the same call may be made again.
    let late = create().init_transactions(Duration::from_millis(10)).unwrap_err();
    let class = class_of(&late);
    assert_eq!((class.kind(), class.transience()), (Kind::Timeout, Transience::Transient));
    assert_eq!(class.effect(), Effect::Unknown);
    // Begun before it was initialised: a fault of the caller, which waiting does not mend.
    let early = create().begin_transaction().unwrap_err();
    let class = class_of(&early);
    assert_eq!((class.kind(), class.transience()), (Kind::Precondition, Transience::Permanent));
}

#[test]
fn metadata_of_nobody_cannot_be_had() {
    let consumer: BaseConsumer = nobody().create().unwrap();
    let error = consumer.fetch_metadata(None, Duration::from_millis(20)).unwrap_err();
    let class = class_of(&error);
    assert!(matches!(class.kind(), Kind::Connection | Kind::Timeout), "{error}");
    assert_eq!(class.transience(), Transience::Transient);
}

#[test]
fn codes_of_brokers_and_of_the_library_are_both_known() {
    let refused = KafkaError::MessageProduction(Code::TopicAuthorizationFailed);
    assert_eq!(class_of(&refused), Class::of(Kind::Auth));
    let late = KafkaError::MessageProduction(Code::MessageTimedOut);
    assert_eq!(class_of(&late), KafkaClient::MessageTimedOut.class());
    let fenced = KafkaError::Global(Code::Fenced);
    assert_eq!(class_of(&fenced).severity(), Severity::Critical);
    let fatal = KafkaError::MessageConsumptionFatal(Code::UnknownTopicOrPartition);
    let class = class_of(&fatal);
    assert_eq!((class.kind(), class.severity()), (Kind::Internal, Severity::Critical));
    assert_eq!(class_of(&KafkaError::Canceled), Class::of(Kind::Cancelled));
    for notice in [KafkaError::PartitionEOF(3), KafkaError::NoMessageReceived] {
        let class = class_of(&notice);
        assert_eq!((class.kind(), class.transience()), (Kind::NotFound, Transience::Transient));
    }
}
