#[derive(factum_derive::Event)]
enum AccountEvent {}

fn main() {}
