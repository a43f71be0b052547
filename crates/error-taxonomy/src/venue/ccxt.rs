//! The class names of ccxt, the library that has gathered the codes of most venues.

use crate::names::names;
use crate::{Class, Effect, Kind, Transience};

/// The exception classes of ccxt 4.5, which venue tables use as words.
///
/// | kind | names |
/// |---|---|
/// | auth | authentication, permission, account and location |
/// | invalid | bad requests, symbols, orders and addresses |
/// | rejected | `OperationRejected`, `OrderImmediatelyFillable`, `OrderNotFillable` |
/// | precondition | `MarketClosed`, pending and unchanged things, `ContractUnavailable` |
/// | not found | `OrderNotFound`, `OrderNotCached` |
/// | conflict | `DuplicateOrderId` (permanent, applied), `InvalidNonce` (transient) |
/// | rate limited | `RateLimitExceeded`, `DDoSProtection` |
/// | unavailable | `ExchangeNotAvailable`, `OnMaintenance`, `OperationFailed` |
/// | timeout, connection | `RequestTimeout`, `NetworkError` |
/// | data | `BadResponse`, `NullResponse` (effect unknown), `ChecksumError` (transient) |
/// | others | `InsufficientFunds`, `NotSupported`, `InvalidProxySettings` (config), `ExchangeClosedByUser` and `UnsubscribeError` (cancelled) |
/// | other | `BaseError`, `ExchangeError` |
///
/// ```
/// use backstop_error_taxonomy::{Effect, Kind, venue::Ccxt};
///
/// let name: Ccxt = "DuplicateOrderId".parse()?;
/// let class = name.class();
/// assert_eq!((class.kind(), class.effect()), (Kind::Conflict, Effect::Applied));
/// # Ok::<(), backstop_error_taxonomy::UnknownName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are ccxt's, and its manual explains them")]
#[non_exhaustive]
pub enum Ccxt {
    BaseError,
    ExchangeError,
    AuthenticationError,
    PermissionDenied,
    AccountNotEnabled,
    AccountSuspended,
    ArgumentsRequired,
    BadRequest,
    BadSymbol,
    OperationRejected,
    NoChange,
    MarginModeAlreadySet,
    MarketClosed,
    ManualInteractionNeeded,
    RestrictedLocation,
    InsufficientFunds,
    InvalidAddress,
    AddressPending,
    InvalidOrder,
    OrderNotFound,
    OrderNotCached,
    OrderImmediatelyFillable,
    OrderNotFillable,
    DuplicateOrderId,
    ContractUnavailable,
    NotSupported,
    InvalidProxySettings,
    ExchangeClosedByUser,
    OperationFailed,
    NetworkError,
    DDoSProtection,
    RateLimitExceeded,
    ExchangeNotAvailable,
    OnMaintenance,
    InvalidNonce,
    ChecksumError,
    RequestTimeout,
    BadResponse,
    NullResponse,
    CancelPending,
    UnsubscribeError,
}

names!("ccxt class", Ccxt {
    BaseError => "BaseError",
    ExchangeError => "ExchangeError",
    AuthenticationError => "AuthenticationError",
    PermissionDenied => "PermissionDenied",
    AccountNotEnabled => "AccountNotEnabled",
    AccountSuspended => "AccountSuspended",
    ArgumentsRequired => "ArgumentsRequired",
    BadRequest => "BadRequest",
    BadSymbol => "BadSymbol",
    OperationRejected => "OperationRejected",
    NoChange => "NoChange",
    MarginModeAlreadySet => "MarginModeAlreadySet",
    MarketClosed => "MarketClosed",
    ManualInteractionNeeded => "ManualInteractionNeeded",
    RestrictedLocation => "RestrictedLocation",
    InsufficientFunds => "InsufficientFunds",
    InvalidAddress => "InvalidAddress",
    AddressPending => "AddressPending",
    InvalidOrder => "InvalidOrder",
    OrderNotFound => "OrderNotFound",
    OrderNotCached => "OrderNotCached",
    OrderImmediatelyFillable => "OrderImmediatelyFillable",
    OrderNotFillable => "OrderNotFillable",
    DuplicateOrderId => "DuplicateOrderId",
    ContractUnavailable => "ContractUnavailable",
    NotSupported => "NotSupported",
    InvalidProxySettings => "InvalidProxySettings",
    ExchangeClosedByUser => "ExchangeClosedByUser",
    OperationFailed => "OperationFailed",
    NetworkError => "NetworkError",
    DDoSProtection => "DDoSProtection",
    RateLimitExceeded => "RateLimitExceeded",
    ExchangeNotAvailable => "ExchangeNotAvailable",
    OnMaintenance => "OnMaintenance",
    InvalidNonce => "InvalidNonce",
    ChecksumError => "ChecksumError",
    RequestTimeout => "RequestTimeout",
    BadResponse => "BadResponse",
    NullResponse => "NullResponse",
    CancelPending => "CancelPending",
    UnsubscribeError => "UnsubscribeError",
});

impl Ccxt {
    /// What is known of a failure that ccxt raises as this class.
    pub const fn class(self) -> Class {
        match self {
            Self::BaseError | Self::ExchangeError => Class::of(Kind::Other),
            Self::AuthenticationError
            | Self::PermissionDenied
            | Self::AccountNotEnabled
            | Self::AccountSuspended
            | Self::RestrictedLocation => Class::of(Kind::Auth),
            Self::ArgumentsRequired
            | Self::BadRequest
            | Self::BadSymbol
            | Self::InvalidAddress
            | Self::InvalidOrder => Class::of(Kind::Invalid),
            Self::OperationRejected | Self::OrderImmediatelyFillable | Self::OrderNotFillable => {
                Class::of(Kind::Rejected)
            }
            Self::MarketClosed
            | Self::CancelPending
            | Self::AddressPending
            | Self::NoChange
            | Self::MarginModeAlreadySet
            | Self::ContractUnavailable
            | Self::ManualInteractionNeeded => Class::of(Kind::Precondition),
            Self::OrderNotFound | Self::OrderNotCached => Class::of(Kind::NotFound),
            // An earlier attempt of the same order got through.
            Self::DuplicateOrderId => Class::of(Kind::Conflict)
                .with_transience(Transience::Permanent)
                .with_effect(Effect::Applied),
            Self::InvalidNonce => Class::of(Kind::Conflict),
            Self::InsufficientFunds => Class::of(Kind::InsufficientFunds),
            Self::NotSupported => Class::of(Kind::Unsupported),
            Self::InvalidProxySettings => Class::of(Kind::Config),
            Self::ExchangeClosedByUser | Self::UnsubscribeError => Class::of(Kind::Cancelled),
            Self::OperationFailed | Self::ExchangeNotAvailable | Self::OnMaintenance => {
                Class::of(Kind::Unavailable)
            }
            Self::NetworkError => Class::of(Kind::Connection),
            Self::DDoSProtection | Self::RateLimitExceeded => Class::of(Kind::RateLimited),
            Self::RequestTimeout => Class::of(Kind::Timeout),
            // An order book that does not add up is asked for anew.
            Self::ChecksumError => Class::of(Kind::Data).with_transience(Transience::Transient),
            // The venue did something; what, its answer does not tell.
            Self::BadResponse | Self::NullResponse => {
                Class::of(Kind::Data).with_effect(Effect::Unknown)
            }
        }
    }
}
