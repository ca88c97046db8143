fn same(data: String) -> Result<String, String> {
    Ok(data)
}

#[derive(factum_derive::Event)]
enum AccountEvent {
    #[event(version = 0)]
    Zero,
    #[event(version = 3)]
    NoUpcasters,
    #[event(version = 3, upcast(from = 2, with = same))]
    Gap,
    #[event(version = 2, upcast(from = 1, with = same), upcast(from = 1, with = same))]
    Duplicate,
    #[event(version = 2, upcast(from = 1, with = same), upcast(from = 2, with = same))]
    Beyond,
    #[event(upcast(from = 1, with = same))]
    Forgotten,
    #[event(version = 2, upcast(from = 0, with = same), upcast(from = 1, with = same))]
    FromZero,
}

fn main() {}
