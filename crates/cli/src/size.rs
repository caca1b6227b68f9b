//! Sizes for people.

/// At most four digits and a unit, such as `132 K` or `1.5 G`; units are powers of 1024.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "K", "M", "G", "T", "P", "E"];
    if bytes == 0 {
        return "0".to_owned();
    }
    let mut unit = 0;
    let mut whole = bytes;
    let mut rest = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        rest = whole % 1024;
        whole /= 1024;
        unit += 1;
    }
    let tenths = rest * 10 / 1024;
    if whole < 10 && tenths > 0 {
        format!("{whole}.{tenths} {}", UNITS[unit])
    } else {
        format!("{whole} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1 B"),
            (4096, "4 K"),
            (132 << 10, "132 K"),
            (1536 << 10, "1.5 M"),
            (2 << 30, "2 G"),
            (u64::MAX, "15 E"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }
}
