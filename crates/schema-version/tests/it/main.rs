//! Stories about a database and a program that may or may not fit together.

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod sets;
#[cfg(test)]
mod statuses;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod laws;
