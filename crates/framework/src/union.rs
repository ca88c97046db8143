//! How does one reader take the events of several enums? A union of them, for what spans aggregates.

/// Declares an enum of event enums: itself an [`Event`](crate::Event) with the kinds of all of them. For process managers
/// and projections that listen to several aggregates.
///
/// No two of the enums may have a kind of the same name; [`Codec::new`](crate::Codec::new) finds those that do.
///
/// ```
/// use factum::{Codec, Event, event_union};
///
/// #[derive(Debug, PartialEq, Event)]
/// enum OrderEvent { OrderSubmitted { order: String } }
///
/// #[derive(Debug, PartialEq, Event)]
/// enum PaymentEvent { PaymentTaken { order: String, cents: u64 } }
///
/// event_union! {
///     /// What the checkout listens to.
///     #[derive(Debug, PartialEq)]
///     enum CheckoutEvent { Order(OrderEvent), Payment(PaymentEvent) }
/// }
///
/// let codec = Codec::<CheckoutEvent>::new()?;
/// let event = codec.decode_data("PaymentTaken", 1, br#"{"order":"17","cents":500}"#)?;
/// assert_eq!(event, CheckoutEvent::Payment(PaymentEvent::PaymentTaken { order: "17".into(), cents: 500 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! event_union {
    ($(#[$about:meta])* $vis:vis enum $name:ident { $($(#[$of:meta])* $part:ident($events:ty)),+ $(,)? }) => {
        $(#[$about])*
        $vis enum $name { $($(#[$of])* $part($events)),+ }

        impl $crate::Event for $name {
            fn kinds() -> &'static [$crate::EventKind] {
                static KINDS: ::std::sync::LazyLock<::std::vec::Vec<$crate::EventKind>> =
                    ::std::sync::LazyLock::new(|| {
                        let parts = [$(<$events as $crate::Event>::kinds()),+];
                        parts.concat()
                    });
                &KINDS
            }
            fn event_type(&self) -> &'static str {
                match self { $(Self::$part(event) => $crate::Event::event_type(event)),+ }
            }
            fn schema_version(&self) -> u32 {
                match self { $(Self::$part(event) => $crate::Event::schema_version(event)),+ }
            }
            fn tags(&self) -> ::std::result::Result<::std::vec::Vec<$crate::__private::Tag>, $crate::__private::NameError> {
                match self { $(Self::$part(event) => $crate::Event::tags(event)),+ }
            }
            fn encode(&self) -> ::std::result::Result<::std::vec::Vec<u8>, $crate::__private::JsonError> {
                match self { $(Self::$part(event) => $crate::Event::encode(event)),+ }
            }
            fn decode(event_type: &str, data: &[u8]) -> ::std::result::Result<Self, $crate::__private::JsonError> {
                $(if <$events as $crate::Event>::kinds().iter().any(|kind| kind.event_type == event_type) {
                    return <$events as $crate::Event>::decode(event_type, data).map(Self::$part);
                })+
                ::std::result::Result::Err($crate::__private::unknown_type(event_type))
            }
            fn decode_kind(kind: usize, data: &[u8]) -> ::std::result::Result<Self, $crate::__private::JsonError> {
                let mut first = 0;
                $({
                    let own = <$events as $crate::Event>::kinds().len();
                    if kind < first + own {
                        return <$events as $crate::Event>::decode_kind(kind - first, data).map(Self::$part);
                    }
                    first += own;
                })+
                ::std::result::Result::Err($crate::__private::unknown_kind(first.max(kind)))
            }
        }

        $(impl ::std::convert::From<$events> for $name {
            fn from(event: $events) -> Self {
                Self::$part(event)
            }
        })+
    };
}
