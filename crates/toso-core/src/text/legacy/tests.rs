//! Names of every encoding are recognised, and names that only look odd pass.

use super::*;

const NAMES: [&str; 14] = [
    "Nguyễn Văn Thử",
    "Trần Thị Mẫu",
    "Lê Hưng",
    "Đỗ Thị Bích",
    "Phan Lư",
    "Vũ Thế Mẫu",
    "Lê Đức Mẫu",
    "Hoàng Thị Phương",
    "Ngô Quỳnh Giang",
    "Đặng Thùy Trâm Thử",
    "Huỳnh Khuê Diễm",
    "Ôn Như Uyển Thử",
    "Bùi Hữu Nghĩa Mẫu",
    "Tạ Thị Yến",
];

/// Reads a table the other way, for the tests of one that must be complete.
fn in_tcvn3(text: &str) -> String {
    text.chars()
        .map(|c| single_byte::TCVN3.iter().find(|(letter, _)| *letter == c).map_or(c, |(_, sign)| *sign))
        .collect()
}

fn in_vni(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    let mut out = String::new();
    for c in text.chars() {
        let small = c.to_lowercase().next().unwrap();
        let sign =
            single_byte::VNI_LETTERS.iter().find(|(_, letter)| *letter == small).map(|(sign, _)| sign.to_string());
        let pair = || {
            single_byte::VNI_MARKS.iter().find_map(|(sign, shape, tone, after)| {
                after.chars().find_map(|base| {
                    let letter =
                        single_byte::VNI_LETTERS.iter().find(|(sign, _)| *sign == base).map_or(base, |of| of.1);
                    let made: String = [Some(letter), *shape, *tone].into_iter().flatten().nfc().collect();
                    (made == small.to_string()).then(|| format!("{base}{sign}"))
                })
            })
        };
        match sign.or_else(pair) {
            Some(signs) if c.is_uppercase() => out.push_str(&signs.to_uppercase()),
            Some(signs) => out.push_str(&signs),
            None => out.push(c),
        }
    }
    out
}

fn misread(text: &str) -> String {
    let show =
        |byte: &u8| misread::WINDOWS[..27].iter().find(|(_, of)| of == byte).map_or(char::from(*byte), |of| of.0);
    text.as_bytes().iter().map(show).collect()
}

#[track_caller]
fn assert_recognised(pasted: &str, encoding: LegacyEncoding, meant: &str) {
    let found = legacy_text(pasted).unwrap_or_else(|| panic!("{pasted:?} ({meant}) passes"));
    assert_eq!((found.encoding, found.proposal.as_str()), (encoding, meant), "{pasted:?}");
}

#[test]
fn names_of_every_encoding_are_recognised() {
    for name in NAMES {
        assert_recognised(&in_tcvn3(name), LegacyEncoding::Tcvn3, name);
        assert_recognised(&in_vni(name), LegacyEncoding::Vni, name);
        assert_recognised(&misread(name), LegacyEncoding::Misread, name);
        assert_recognised(&misread(&misread(name)), LegacyEncoding::Misread, name);
    }
}

#[test]
fn known_texts_of_each_encoding_are_read_as_people_read_them() {
    use LegacyEncoding::{Misread, Tcvn3, Typed, Vni};
    for (pasted, encoding, meant) in [
        ("NguyÔn V¨n", Tcvn3, "Nguyễn Văn"),
        ("Phan L\u{AD}", Tcvn3, "Phan Lư"),
        ("Lª H\u{AD}ng", Tcvn3, "Lê Hưng"),
        ("Ph\u{AD}¬ng", Tcvn3, "Phương"),
        ("Ph-¬ng", Tcvn3, "Phương"),
        ("§ç ThÞ BÝch", Tcvn3, "Đỗ Thị Bích"),
        ("Bïi Lan", Tcvn3, "Bùi Lan"),
        ("nguyÔn v¨n thö", Tcvn3, "nguyễn văn thử"),
        ("NGUYÔN V¡N THö", Tcvn3, "NGUYỄN VĂN THỬ"),
        ("Lª ThÞ ¸nh", Tcvn3, "Lê Thị Ánh"),
        ("Th«n Hßa B×nh", Tcvn3, "Thôn Hòa Bình"),
        ("UBND x· T©n LËp", Tcvn3, "UBND xã Tân Lập"),
        ("Trần V¨n H\u{AD}ng", Tcvn3, "Trần Văn Hưng"),
        ("Nguyeãn Vaên", Vni, "Nguyễn Văn"),
        ("Leâ Ñöùc Maãu", Vni, "Lê Đức Mẫu"),
        ("NGUYEÃN VAÊN THÖÛ", Vni, "NGUYỄN VĂN THỬ"),
        ("Aùnh Hoàng Traàn", Vni, "Ánh Hồng Trần"),
        ("Thoân Tröôùc 2", Vni, "Thôn Trước 2"),
        ("Nguyá»…n", Misread, "Nguyễn"),
        ("Tá»• 5, thÃ´n HÃ  Trung", Misread, "Tổ 5, thôn Hà Trung"),
        ("HÃ  Ná»™i", Misread, "Hà Nội"),
        ("Lê Thá»‹ Mẫu", Misread, "Lê Thị Mẫu"),
        ("Äá»©c", Misread, "Đức"),
        ("Nguyeenx Vawn Thuwr", Typed, "Nguyễn Văn Thử"),
        ("Trần Thij Maaux", Typed, "Trần Thị Mẫu"),
        ("Nguyễn Vawn Dduwcs", Typed, "Nguyễn Văn Đức"),
        ("Nguye^~n Va(n Thu+?", Typed, "Nguyễn Văn Thử"),
        ("Nguye64n Va8n Thu73", Typed, "Nguyễn Văn Thử"),
        ("Tho6n 1", Typed, "Thôn 1"),
        ("Tho^n 1", Typed, "Thôn 1"),
    ] {
        assert_recognised(pasted, encoding, meant);
    }
}

/// What is stored today must stay storable: peoples of Vietnam, neighbours, foreigners, signs of prose.
#[test]
fn names_that_only_look_odd_pass() {
    for text in [
        "Nguyễn Văn Thử",
        "NGUYỄN THỊ MẪU",
        "Nguyen Van Thu",
        "Lê Hùng",
        "Lê Hoà",
        "Lê Hòan",
        "Qúy Thúy",
        "\u{D0}ỗ Thị Lan",
        "Y-Thử Niê",
        "Y\u{AD}Thử Niê",
        "H'Hen Niê",
        "H'Niê Mlô",
        "H’Lê Êban",
        "K'Brể",
        "K'Tôm",
        "Y Bhôk Byă",
        "Siu Black",
        "Rơ Châm Sôn",
        "Rmah Kôh",
        "A Lăng Bhuôch",
        "Clâu Nâm",
        "Zơ Râm Hôih",
        "Sùng A Páo",
        "Giàng Mí Sò",
        "Thạch Sô Phi",
        "Danh Út",
        "Pa-Tần",
        "Đắk Lắk",
        "Buôn Ea H'leo",
        "François Müller",
        "Søren Kjærgård",
        "Bjørn Dæhlie",
        "Loïc Tran",
        "Seán Murphy",
        "Seán An",
        "José Núñez",
        "João Simões",
        "Zoë Noël",
        "Maël Lê",
        "Anaïs Raúl",
        "Jérôme Côté",
        "Günter Grass",
        "Ünal Çelik",
        "Björn Köhn",
        "Håkan Åse",
        "Lü Bu",
        "Beyoncé",
        "Hans Max",
        "Teens",
        "Tom Lars",
        "Max An",
        "Sa'id Ra'ad",
        "Ka'ana",
        "Tân An",
        "Thôn 2.Bắc",
        "Khu A.C",
        "Khu 2A",
        "Khu A+",
        "Nhóm máu O+",
        "TP.HCM",
        "Xóm 3 (Đồi)",
        "«Bản» · «An»",
        "dài 10 µm, 5 m², 3 × 4, 1½ giờ, © 2026, § 5",
        "Họp – bàn việc…",
        "Zalo: 0912 000 001?",
        "An? Ba. Tu?",
        "",
        "7",
        "ចាន់ ធី",
    ] {
        assert_eq!(legacy_text(text), None, "{text:?}");
    }
}

#[test]
fn the_tables_have_every_letter() {
    const LETTERS: &str = "àảãáạăằẳẵắặâầẩẫấậđèẻẽéẹêềểễếệìỉĩíịòỏõóọôồổỗốộơờởỡớợùủũúụưừửữứựỳỷỹýỵ";
    for letter in LETTERS.chars() {
        assert!(single_byte::TCVN3.iter().any(|(of, _)| *of == letter), "{letter}");
        let vni = in_vni(&letter.to_string());
        assert!(vni.chars().count() == 2 || single_byte::VNI_LETTERS.iter().any(|(_, of)| *of == letter), "{letter}");
    }
    for letter in "ĂÂÊÔƠƯĐ".chars() {
        assert_ne!(in_tcvn3(&letter.to_string()), letter.to_string());
    }
    let mut signs: Vec<char> = single_byte::TCVN3.iter().map(|(_, sign)| *sign).collect();
    signs.sort_unstable();
    signs.dedup();
    assert_eq!(signs.len(), single_byte::TCVN3.len(), "no sign stands for two letters");
}

#[test]
fn proposals_are_not_logged() {
    let found = legacy_text("NguyÔn V¨n Thö").unwrap();
    assert!(!format!("{found:?}").contains("Nguy"));
}
