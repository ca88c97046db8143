#[derive(factum_derive::Event)]
enum AccountEvent {
    #[event(version = 2, upcast(with = same))]
    NoFrom,
    #[event(version = 2, upcast(from = 1))]
    NoSteps,
    #[event(version = 2, upcast(from = 1, move("a", "b")))]
    Unknown,
    #[event(version = 2, upcast(from = 1, rename("a")))]
    HalfRename,
    #[event(version = 2, upcast(from = 1, default("a", [1])))]
    List,
    #[event(version = 2, upcast(from = 1, remove("a", "b")))]
    TwoRemoves,
    #[event(version = -1)]
    Negative,
    #[event(version = 99999999999)]
    Large,
}

fn main() {}
