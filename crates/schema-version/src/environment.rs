/// Where a program runs, as far as it decides who may change a schema.
///
/// ```
/// use backstop_schema_version::Environment;
///
/// assert_eq!(Environment::named("development"), Environment::Development);
/// // A slip of the pen must not turn production into a playground.
/// assert_eq!(Environment::named("prodution"), Environment::Production);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Environment {
    /// The program migrates when it starts.
    Development,
    /// The program only looks; migrating is an operator's deed.
    #[default]
    Production,
}

impl Environment {
    /// The environment of that name; every name but `development` counts as production.
    pub fn named(name: &str) -> Self {
        match name {
            "development" => Self::Development,
            _ => Self::Production,
        }
    }
}
