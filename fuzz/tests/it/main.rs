//! Every target on its corpus, on changed copies of it, and on noise.

#[cfg(test)]
mod targets;
