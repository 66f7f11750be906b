#[test]
fn show() {
    print!("{}", super::template());
    println!("{}", super::from_str(&super::template()).unwrap_err());
}
