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
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod observed;
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod migrating;
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod failing;
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod starting;
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod racing;
