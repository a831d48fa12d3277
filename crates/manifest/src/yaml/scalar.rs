//! What a scalar means to the programs that apply a manifest.
//!
//! Helm and kubectl read YAML 1.1 with Go's rules: `yes` is a boolean, `0b1` and `1_000` are
//! integers, `1e1000` is a string. Sources: YAML 1.1 type repository (bool, int, float, null,
//! binary) and the behaviour of Helm and kubectl. Names and labels are read as text elsewhere
//! ([`super::Node::text`]); the types matter for what a user's config means.

use std::borrow::Cow;

use base64::Engine as _;

/// The value of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'a> {
    /// `null`, `~`, or nothing.
    Null,
    /// A boolean, in any of YAML 1.1's spellings.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// An integer beyond that.
    BigInt,
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Text.
    String(Cow<'a, str>),
}

/// What YAML's own tags begin with.
pub(super) const PREFIX: &str = "tag:yaml.org,2002:";
pub(super) const STR: &str = "tag:yaml.org,2002:str";
pub(super) const BINARY: &str = "tag:yaml.org,2002:binary";
pub(super) const NULL: &str = "tag:yaml.org,2002:null";
pub(super) const BOOL: &str = "tag:yaml.org,2002:bool";
pub(super) const INT: &str = "tag:yaml.org,2002:int";
pub(super) const FLOAT: &str = "tag:yaml.org,2002:float";
pub(super) const TIMESTAMP: &str = "tag:yaml.org,2002:timestamp";

/// The value of a scalar from its text, its style and its tag.
pub(super) fn resolve<'a>(text: &'a str, plain: bool, tag: Option<&str>) -> Scalar<'a> {
    let string = || Scalar::String(Cow::Borrowed(text));
    match tag {
        Some("!" | STR) => string(),
        Some(BINARY) => {
            let packed: String = text.split_whitespace().collect();
            base64::engine::general_purpose::STANDARD
                .decode(packed)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .map_or_else(string, |s| Scalar::String(Cow::Owned(s)))
        }
        Some(NULL | BOOL | INT | FLOAT) => resolve_plain(text),
        None if plain => resolve_plain(text),
        Some(_) | None => string(),
    }
}

/// A float as JSON: Go writes one without a fraction (`80.0`) as an integer.
pub(super) fn float_to_json(value: f64) -> serde_json::Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a whole number within 2^53"
        )]
        return serde_json::Value::from(value as i64);
    }
    serde_json::Number::from_f64(value).map_or(serde_json::Value::Null, serde_json::Value::Number)
}

/// A float as the key of a mapping, in Go's shortest general form: `1e6` is the key `1e+06`.
pub(super) fn float_to_key(value: f64) -> String {
    if !value.is_finite() {
        let infinite = if value > 0.0 { ".inf" } else { "-.inf" };
        return if value.is_nan() { ".nan" } else { infinite }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}

pub(super) fn resolve_plain(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Scalar::String(Cow::Borrowed(text));
    }
    let packed: String = text.chars().filter(|c| *c != '_').collect();
    integer(&packed)
        .or_else(|| float(&packed))
        .unwrap_or(Scalar::String(Cow::Borrowed(text)))
}

/// An integer in base 2, 8, 10 or 16, by its prefix.
fn integer(text: &str) -> Option<Scalar<'static>> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.get(1..)?)
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let Ok(value) = i128::from_str_radix(digits, radix) else {
        return Some(Scalar::BigInt);
    };
    let value = if negative { -value } else { value };
    if let Ok(small) = i64::try_from(value) {
        return Some(Scalar::Int(small));
    }
    // Up to u64 Go keeps the integer; beyond, a decimal one becomes a float.
    if u64::try_from(value).is_ok() || radix != 10 {
        return Some(Scalar::BigInt);
    }
    None
}

/// A number as `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` has it.
fn float(text: &str) -> Option<Scalar<'static>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(i) => (unsigned.get(..i)?, unsigned.get(i + 1..)),
        None => (unsigned, None),
    };
    let digits = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    let ok = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent_ok;
    if !ok {
        return None;
    }
    // Out of range is text to Go.
    text.parse::<f64>()
        .ok()
        .filter(|f| f.is_finite())
        .map(Scalar::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_floats_are_written_as_go_writes_them() {
        for (value, key) in [
            (1.5, "1.5"),
            (80.0, "80"),
            (1e6, "1e+06"),
            (1.5e-7, "1.5e-07"),
            (123_456.0, "123456"),
            (0.0001, "0.0001"),
            (f64::NEG_INFINITY, "-.inf"),
        ] {
            assert_eq!(float_to_key(value), key);
        }
    }

    #[test]
    fn plain_scalars_mean_what_go_reads() {
        let s = |t| Scalar::String(Cow::Borrowed(t));
        for (text, value) in [
            ("yes", Scalar::Bool(true)),
            ("N", Scalar::Bool(false)),
            ("yEs", s("yEs")),
            ("012", Scalar::Int(10)),
            ("0o12", Scalar::Int(10)),
            ("0b11", Scalar::Int(3)),
            ("0x1f", Scalar::Int(31)),
            ("1_000", Scalar::Int(1000)),
            ("08", Scalar::Float(8.0)),
            ("1e3", Scalar::Float(1000.0)),
            ("80.0", Scalar::Float(80.0)),
            ("1e1000", s("1e1000")),
            ("18446744073709551615", Scalar::BigInt),
            ("0.0.0.0/0", s("0.0.0.0/0")),
            ("2001-01-01", s("2001-01-01")),
            ("-", s("-")),
            (".", s(".")),
            ("8.8.8.8", s("8.8.8.8")),
            ("", Scalar::Null),
        ] {
            assert_eq!(resolve(text, true, None), value, "{text:?}");
        }
        assert_eq!(resolve("yes", false, None), s("yes"));
        assert_eq!(resolve("123", true, Some(STR)), s("123"));
        assert_eq!(
            resolve("TmV0", true, Some(BINARY)),
            Scalar::String("Net".into())
        );
    }
}
