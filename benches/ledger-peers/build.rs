//! Lets two versions of nautilus-model into one program.
//!
//! Both export the limits of their numbers by the same C names, and differ in them by less than a part in 10^15.
//! The linkers of Linux take the first of such a pair when they are told to.

fn main() {
    println!("cargo::rustc-link-arg=-Wl,--allow-multiple-definition");
    println!("cargo::rerun-if-changed=build.rs");
}
