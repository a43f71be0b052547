//! An error for code that has no type of its own to return.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::panic;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backstop_clock::Timestamp;
use smallvec::SmallVec;
use smol_str::SmolStr;
use uuid::Uuid;

use crate::{Class, Classify, Component, Effect, Kind, Transience};

mod key;
mod location;
mod text;
mod pairs;
mod show;
mod recorded;
mod fingerprint;
mod extension;
#[cfg(feature = "serde")]
mod wire;
#[cfg(feature = "serde")]
mod bounded;

pub use extension::Context;
pub use fingerprint::Fingerprint;
pub use key::Key;
pub use location::Location;

use location::Place;
use pairs::Pairs;

/// An opaque error of one pointer: class, message, operations, context, place and source.
///
/// `Display` is one line for a person.
/// `Debug` is the whole story over several lines for a log.
/// With the feature `serde` it can be written down and read back.
/// Libraries that callers match on define their own types; this one is for the seams.
///
/// | part | kept at most | what happens to more |
/// |---|---|---|
/// | message | [`MESSAGE_BYTES_MAX`](Error::MESSAGE_BYTES_MAX) | ends in `...[cut]` |
/// | operations | [`OPERATIONS_MAX`](Error::OPERATIONS_MAX) | left out and counted |
/// | context pairs | [`CONTEXT_MAX`](Error::CONTEXT_MAX) | left out and counted |
/// | a key, an operation | [`NAME_BYTES_MAX`](Error::NAME_BYTES_MAX) | ends in `...[cut]` |
/// | a value | [`VALUE_BYTES_MAX`](Error::VALUE_BYTES_MAX) | ends in `...[cut]` |
/// | causes shown or written | [`CAUSES_MAX`](Error::CAUSES_MAX) | left out and said |
/// | secrets | [`SECRETS_MAX`](Error::SECRETS_MAX) | left out and counted |
///
/// ```
/// use backstop_error_taxonomy::{Classify, Component, Effect, Error, Kind};
///
/// let error = Error::new(Kind::Timeout, "no answer within 2 s")
///     .with_op("submit_order")
///     .with_component(Component::EXECUTION)
///     .with("symbol", "EURUSD");
///
/// assert_eq!(error.to_string(), "submit_order: no answer within 2 s (timeout)");
/// assert_eq!(error.class().effect(), Effect::Unknown);
/// assert!(format!("{error:?}").contains("symbol: EURUSD"));
/// ```
pub struct Error(Box<Inner>);

const _: () = assert!(size_of::<Error>() == size_of::<usize>(), "results stay small");

/// Operations and pairs that fit without an allocation of their own; most errors have no more.
const INLINE: usize = 2;

struct Inner {
    class: Class,
    /// Empty if nobody said more than the source.
    message: Cow<'static, str>,
    /// Innermost first.
    operations: SmallVec<[SmolStr; INLINE]>,
    component: Option<Component>,
    context: Pairs,
    /// Operations, pairs and secrets that found no room.
    left_out: u32,
    /// Whether somebody counted or logged it, or dealt with it.
    recorded: AtomicBool,
    id: OnceLock<Uuid>,
    place: Place,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// What few errors have.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    secrets: Vec<(Key, String)>,
    not_before: Option<Timestamp>,
    /// The name of a kind that this version does not know.
    original_kind: Option<SmolStr>,
    #[cfg(feature = "backtrace")]
    backtrace: Option<std::backtrace::Backtrace>,
}

/// The limits.
impl Error {
    /// How many bytes of a message an error keeps.
    pub const MESSAGE_BYTES_MAX: usize = 1_024;
    /// How many nested operations an error keeps.
    pub const OPERATIONS_MAX: usize = 16;
    /// How many context pairs an error keeps.
    pub const CONTEXT_MAX: usize = 16;
    /// How many bytes of an operation or a key an error keeps.
    pub const NAME_BYTES_MAX: usize = 64;
    /// How many bytes of a context value an error keeps.
    pub const VALUE_BYTES_MAX: usize = 256;
    /// How many causes an error shows and writes; a chain may be cyclic.
    pub const CAUSES_MAX: usize = 16;
    /// How many secrets an error keeps.
    pub const SECRETS_MAX: usize = 8;
    /// How many bytes a secret may have; part of one is of no use, so a longer one is left out.
    pub const SECRET_BYTES_MAX: usize = 4_096;
}

/// Raising.
impl Error {
    /// An error of `kind` with the kind's defaults, remembering the caller's place.
    #[track_caller]
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        let place = Place::Here(panic::Location::caller());
        Self::build(Class::of(kind), text::message(message.into()), place, None)
    }

    /// An error caused by `source`, whose class it takes over.
    ///
    /// From a source that is an [`Error`] it also takes the component and the earliest time of
    /// another try.
    ///
    /// ```
    /// use backstop_error_taxonomy::{Classify, Error, Kind};
    ///
    /// let cause = "12x".parse::<u32>().unwrap_err();
    /// let error = Error::caused_by(cause, "quantity is not a number");
    /// assert_eq!(error.class().kind(), Kind::Invalid);
    /// ```
    #[track_caller]
    pub fn caused_by<E>(source: E, message: impl Into<Cow<'static, str>>) -> Self
    where
        E: StdError + Classify + Send + Sync + 'static,
    {
        let class = source.class();
        let place = Place::Here(panic::Location::caller());
        let message = text::message(message.into());
        let inner = (&source as &dyn Any).downcast_ref::<Self>();
        let inherited = inner.map(|inner| (inner.component(), inner.not_before()));
        let mut error = Self::build(class, message, place, Some(Box::new(source)));
        // What belongs to the failure and not to the layer that raises it.
        if let Some((component, not_before)) = inherited {
            error.0.component = component;
            error = match not_before {
                Some(at) => error.with_not_before(at),
                None => error,
            };
        }
        error
    }

    /// The foreign error itself, with its class and its words, ready to carry context.
    ///
    /// [`Context`] does this to the error of a `Result`.
    ///
    /// ```
    /// use backstop_error_taxonomy::{Error, Kind};
    ///
    /// let error = Error::from_source("12x".parse::<u32>().unwrap_err()).with("line", 7);
    /// assert_eq!(error.kind(), Kind::Invalid);
    /// assert_eq!(error.to_string(), "invalid digit found in string (invalid)");
    /// ```
    #[track_caller]
    pub fn from_source<E>(source: E) -> Self
    where
        E: StdError + Classify + Send + Sync + 'static,
    {
        Self::caused_by(source, "")
    }

    fn build(
        class: Class,
        message: Cow<'static, str>,
        place: Place,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner {
            class,
            message,
            operations: SmallVec::new(),
            component: None,
            context: Pairs::default(),
            left_out: 0,
            recorded: AtomicBool::new(false),
            id: OnceLock::new(),
            place,
            source,
            rare: None,
        }))
    }
}

/// Telling more about it.
impl Error {
    /// Replaces the whole class.
    #[must_use]
    pub fn with_class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    /// States whether the operation took effect.
    #[must_use]
    pub fn with_effect(self, effect: Effect) -> Self {
        let class = self.0.class.with_effect(effect);
        self.with_class(class)
    }

    /// States whether it may pass by itself.
    #[must_use]
    pub fn with_transience(self, transience: Transience) -> Self {
        let class = self.0.class.with_transience(transience);
        self.with_class(class)
    }

    /// States the other side's wish to be left alone for `delay`.
    #[must_use]
    pub fn with_retry_after(self, delay: Duration) -> Self {
        let class = self.0.class.with_retry_after(delay);
        self.with_class(class)
    }

    /// States the earliest time at which another try makes sense, such as the opening of a market.
    #[must_use]
    pub fn with_not_before(mut self, at: Timestamp) -> Self {
        self.rare_mut().not_before = Some(at);
        self
    }

    /// Names the operation that failed; an outer layer adds its own around it.
    #[must_use]
    pub fn with_op(mut self, op: &'static str) -> Self {
        self.add_op(text::name(op));
        self
    }

    fn add_op(&mut self, op: SmolStr) {
        if self.0.operations.len() < Self::OPERATIONS_MAX {
            self.0.operations.push(op);
        } else {
            self.leave_out();
        }
    }

    /// Names the component, unless an inner layer has already done so.
    #[must_use]
    pub fn with_component(mut self, component: Component) -> Self {
        self.0.component.get_or_insert(component);
        self
    }

    /// Adds a fact that helps to understand this one failure.
    ///
    /// A key that is there already keeps its value, for the inner layer knew better; a different
    /// value is counted in [`Error::left_out`].
    /// Never add a secret: everything here is displayed and written down.
    #[must_use]
    pub fn with(mut self, key: impl Into<Key>, value: impl fmt::Display) -> Self {
        self.add(key.into(), &value);
        self
    }

    fn add(&mut self, key: Key, value: &dyn fmt::Display) {
        if !self.0.context.add(key, value) {
            self.leave_out();
        }
    }

    /// Keeps a value that whoever handles the error needs and nobody else may see.
    ///
    /// It is in neither `Display` nor `Debug` nor in what serde writes; only [`Error::secret`]
    /// reads it.
    /// A secret that is also part of the message or of another value is shown there.
    ///
    /// ```
    /// use backstop_error_taxonomy::{Error, Kind};
    ///
    /// let error = Error::new(Kind::Auth, "key refused").with_secret("api_key", "hunter2");
    /// assert!(!format!("{error} {error:?}").contains("hunter2"));
    /// assert_eq!(error.secret("api_key"), Some("hunter2"));
    /// ```
    #[must_use]
    pub fn with_secret(mut self, key: impl Into<Key>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        let room = self.rare().is_none_or(|rare| rare.secrets.len() < Self::SECRETS_MAX);
        if room && value.len() <= Self::SECRET_BYTES_MAX {
            self.rare_mut().secrets.push((key, value));
        } else {
            self.leave_out();
        }
        self
    }

    /// Gives it an id, which a run that can be repeated derives from its seed.
    ///
    /// An id that was given or asked for before stays.
    #[must_use]
    pub fn with_id(self, id: Uuid) -> Self {
        self.0.id.get_or_init(|| id);
        self
    }

    /// Captures the stack here and now, which takes a hundred times as long as the error itself.
    ///
    /// Nothing else captures one, whatever `RUST_BACKTRACE` says.
    #[cfg(feature = "backtrace")]
    #[must_use]
    pub fn with_backtrace(mut self) -> Self {
        self.rare_mut().backtrace = Some(std::backtrace::Backtrace::force_capture());
        self
    }

    fn leave_out(&mut self) {
        self.0.left_out = self.0.left_out.saturating_add(1);
    }

    fn rare(&self) -> Option<&Rare> {
        self.0.rare.as_deref()
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.0.rare.get_or_insert_default()
    }
}

/// Reading.
impl Error {
    /// What failed.
    pub fn kind(&self) -> Kind {
        self.0.class.kind()
    }

    /// The name of a kind that was read and that this version does not know.
    ///
    /// The kind is [`Kind::Other`] then, and the name is written again with the error.
    pub fn original_kind(&self) -> Option<&str> {
        self.rare().and_then(|rare| rare.original_kind.as_deref())
    }

    /// What failed, in the words of who raised it; empty if the source says it all.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operations around the failure, outermost first.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        self.0.operations.iter().rev().map(SmolStr::as_str)
    }

    /// Where it happened, if anybody said so.
    pub fn component(&self) -> Option<Component> {
        self.0.component
    }

    /// The context pairs in the order in which they were added.
    pub fn context(&self) -> impl Iterator<Item = (&Key, &str)> {
        self.0.context.iter()
    }

    /// The value of a context key.
    pub fn value(&self, key: impl Into<Key>) -> Option<&str> {
        let key = key.into();
        self.context().find_map(|(known, value)| (*known == key).then_some(value))
    }

    /// The value of a secret.
    pub fn secret(&self, key: impl Into<Key>) -> Option<&str> {
        let key = key.into();
        let secrets = &self.rare()?.secrets;
        secrets.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }

    /// How many operations, context pairs and secrets found no room.
    pub fn left_out(&self) -> u32 {
        self.0.left_out
    }

    /// The line of code that raised it.
    pub fn location(&self) -> Location<'_> {
        self.0.place.location()
    }

    /// The earliest time at which another try makes sense, if anybody said so.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.rare().and_then(|rare| rare.not_before)
    }

    /// The id of this one failure, a UUID of version 7 made when it is first asked for.
    ///
    /// Time and randomness are the system's; a run that can be repeated gives its own with
    /// [`Error::with_id`].
    #[expect(
        clippy::disallowed_methods,
        reason = "nobody gave an id, so nothing here has to be repeatable"
    )]
    pub fn id(&self) -> Uuid {
        *self.0.id.get_or_init(Uuid::now_v7)
    }

    /// The stack, if [`Error::with_backtrace`] captured it.
    #[cfg(feature = "backtrace")]
    pub fn backtrace(&self) -> Option<&std::backtrace::Backtrace> {
        self.rare().and_then(|rare| rare.backtrace.as_ref())
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        self.0.class
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The chain of sources, which a foreign error can make endless: whoever walks it takes a part.
fn causes(error: &dyn StdError) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
