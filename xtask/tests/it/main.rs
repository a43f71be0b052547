//! The project's own commands, tried from outside.

#[cfg(test)]
mod arguments;
#[cfg(test)]
mod tidy;
#[cfg(all(test, unix))]
mod campaign;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod tools;
