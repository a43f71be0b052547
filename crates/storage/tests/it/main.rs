//! What the writer, its tickets and the migration history promise.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod history;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod threads;
