//! Runs the simulated venue as a process of its own.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use anyhow::Context;

use crate::{
    faults::Profile,
    http_venue,
    setup::{self, Folder, VENUE_FILE},
};

/// What the venue is made of, as the command line says it.
#[derive(Clone, Debug)]
pub struct Served {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Which faults to inject.
    pub faults: Profile,
    /// Decides the faults.
    pub seed: u64,
    /// Keeps the venue's file, so that a killed venue goes on where it was.
    pub data_dir: Option<PathBuf>,
    /// A market folder; none for the bundled year.
    pub market: Option<PathBuf>,
}

/// Serves until the process is ended, which it may be at any moment: it writes before it answers.
///
/// # Errors
/// A market or file that cannot be read, or an address that cannot be listened to.
pub fn venue(served: &Served) -> anyhow::Result<()> {
    let market = setup::market(served.market.as_deref())?;
    let folder = match &served.data_dir {
        Some(path) => {
            fs::create_dir_all(path)
                .with_context(|| format!("cannot use the data folder {}", path.display()))?;
            Some(Folder::take_for(path, "venue.lock")?)
        }
        None => None,
    };
    let file = folder.as_ref().map(|folder| folder.file(VENUE_FILE));
    let venue = setup::sim_venue(&market, (served.seed, served.faults), file.as_deref())?;
    let listener = TcpListener::bind(served.listen)
        .with_context(|| format!("cannot listen on {}", served.listen))?;
    let mut out = std::io::stdout();
    // A script waits for this line to learn the port; nobody else needs it.
    drop(writeln!(out, "listening on http://{}", listener.local_addr()?));
    drop(out.flush());
    http_venue::serve(listener, venue, std::future::pending())?;
    Ok(())
}
