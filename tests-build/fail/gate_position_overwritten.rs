//! How far a reader of maps has come is no number: an address cannot take the gate's place.

use vmaple::{MapsPosition, MapsReader};

fn main() {
    let mut position: MapsPosition = MapsReader::new().position();
    let end_of_the_last_vma: u64 = 0x7fff_ffff_f000;
    position = end_of_the_last_vma;
    println!("{position:?}");
}
