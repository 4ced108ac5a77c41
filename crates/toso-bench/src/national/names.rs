//! Invented names: hamlets as their region calls them, persons from syllable tables, phone numbers nobody has.

use std::collections::HashSet;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use toso_core::record::{Gender, HamletKind};
use toso_core::text::hamlet_key;
use toso_core::unit::UnitRef;

/// Parts of the country that name things alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Region {
    NorthernMountains,
    RedRiver,
    NorthCentral,
    SouthCentral,
    Highlands,
    SouthEast,
    Mekong,
}

impl Region {
    /// The region of a province of the 2022 list. Its codes run from north to south.
    pub(crate) fn of(province: UnitRef) -> Self {
        match province.code.as_str().parse::<u8>().unwrap_or_default() {
            2..=25 => Self::NorthernMountains,
            38..=46 => Self::NorthCentral,
            48..=60 => Self::SouthCentral,
            62..=68 => Self::Highlands,
            70..=79 => Self::SouthEast,
            80..=96 => Self::Mekong,
            _ => Self::RedRiver,
        }
    }

    fn hamlet_kinds(self, urban: bool) -> &'static [HamletKind] {
        use HamletKind::{Ap, Ban, Buon, Khom, KhuDanCu, KhuPho, Lang, Thon, ToDanPho, Xom};
        match (self, urban) {
            (Self::RedRiver, true) => &[ToDanPho, KhuDanCu, KhuPho],
            (Self::SouthCentral | Self::SouthEast, true) => &[KhuPho, ToDanPho],
            (Self::Mekong, true) => &[Khom, KhuPho],
            (_, true) => &[ToDanPho],
            (Self::NorthernMountains, false) => &[Thon, Ban, Xom],
            (Self::RedRiver, false) => &[Thon, Xom],
            (Self::NorthCentral, false) => &[Thon, Xom, Ban],
            (Self::SouthCentral, false) => &[Thon],
            (Self::Highlands, false) => &[Thon, Buon, Lang],
            (Self::SouthEast | Self::Mekong, false) => &[Ap],
        }
    }

    fn hamlet_syllables(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::NorthernMountains => (
                &["Nà", "Pa", "Khuổi", "Bản", "Phiêng", "Tả", "Cốc", "Nậm", "Lũng", "Hua"],
                &["Lầu", "Pục", "Sản", "Vài", "Khoang", "Mòn", "Tấu", "Chang", "Ngòi", "Sập", "Phát", "Lếch"],
            ),
            Self::Highlands => (
                &["Ea", "Cư", "Đắk", "Kon", "Plei", "Ia", "Krông"],
                &["Mơ", "Rơ", "Kênh", "Tơ", "Blang", "Drông", "Sut", "Lơ", "Nang", "Wêl", "Tung", "Pốk"],
            ),
            Self::SouthEast | Self::Mekong => (
                &["Tân", "Bình", "Phú", "Thạnh", "Vĩnh", "Mỹ", "Long", "An", "Hòa", "Phước"],
                &["Lợi", "Phước", "Thạnh", "Hưng", "Đức", "Thuận", "Lộc", "Trung", "Nghĩa", "Quới", "Hậu", "Tây"],
            ),
            Self::RedRiver | Self::NorthCentral | Self::SouthCentral => (
                &["Đông", "Đoài", "Thượng", "Trung", "Văn", "Phú", "Yên", "Xuân", "Đại", "Kim", "Ngọc", "Hà"],
                &["Tiến", "Sơn", "Lạc", "Xá", "Phong", "Lâm", "Khê", "Quan", "Thái", "Lập", "Bồng", "Nội", "Mai"],
            ),
        }
    }
}

/// A hamlet as one person writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hamlet {
    pub(crate) name: String,
    pub(crate) kind: HamletKind,
    /// Its number, when it has one instead of a name.
    number: Option<usize>,
}

impl Hamlet {
    /// As another person may write it: the same hamlet all the same.
    pub(crate) fn written_otherwise(&self) -> String {
        match self.number {
            Some(number @ 1..=9) => format!("{} 0{number}", kind_word(self.kind)),
            _ => self.name.clone(),
        }
    }
}

fn kind_word(kind: HamletKind) -> &'static str {
    match kind {
        HamletKind::Ban => "Bản",
        HamletKind::Ap => "Ấp",
        HamletKind::Khom => "Khóm",
        HamletKind::Buon => "Buôn",
        HamletKind::Lang => "Làng",
        HamletKind::Xom => "Xóm",
        HamletKind::ToDanPho => "Tổ dân phố",
        HamletKind::KhuPho => "Khu phố",
        HamletKind::KhuDanCu => "Khu dân cư",
        HamletKind::Thon => "Thôn",
    }
}

/// So many hamlets of one commune, no two of which are the same.
pub(crate) fn hamlets(rng: &mut StdRng, region: Region, urban: bool, count: usize) -> Vec<Hamlet> {
    // A commune mostly has one kind, some have a second one.
    let kinds = region.hamlet_kinds(urban);
    let (main, other) = (pick(rng, kinds, HamletKind::Thon), pick(rng, kinds, HamletKind::Thon));
    let numbered = urban || rng.random_ratio(2, 5);
    let (first, second) = region.hamlet_syllables();
    let mut keys = HashSet::new();
    let mut hamlets = Vec::with_capacity(count);
    let mut next_number = 1;
    while hamlets.len() < count {
        let kind = if rng.random_ratio(5, 6) { main } else { other };
        // Names run out in the largest communes; numbers do not.
        let number = (numbered || hamlets.len() > 24 || rng.random_ratio(1, 10)).then_some(next_number);
        let name = if let Some(number) = number {
            next_number += 1;
            format!("{} {number}", kind_word(kind))
        } else {
            format!("{} {} {}", kind_word(kind), pick(rng, first, ""), pick(rng, second, ""))
        };
        if keys.insert(hamlet_key(&name)) {
            hamlets.push(Hamlet { name, kind, number });
        }
    }
    hamlets
}

/// A person nobody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) full_name: String,
    pub(crate) gender: Gender,
}

/// Family names; frequent ones stand more often.
const FAMILY: &[&str] = &[
    "Nguyễn", "Nguyễn", "Nguyễn", "Nguyễn", "Nguyễn", "Nguyễn", "Nguyễn", "Trần", "Trần", "Lê", "Lê", "Phạm", "Phạm",
    "Hoàng", "Phan", "Vũ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Dương", "Đinh", "Mai", "Trịnh", "Đoàn", "Tạ", "Cao",
];
const FAMILY_SOUTH: &[&str] =
    &["Nguyễn", "Nguyễn", "Nguyễn", "Trần", "Lê", "Huỳnh", "Võ", "Phan", "Thạch", "Danh", "Kim"];
const FAMILY_MOUNTAINS: &[&str] = &[
    "Lò", "Giàng", "Sùng", "Vàng", "Nông", "Hoàng", "Lường", "Tòng", "Quàng", "Hà", "Bế", "Lục", "Triệu", "Bàn", "Mùa",
];
const FAMILY_HIGHLANDS: &[&str] = &["Nguyễn", "Trần", "Lê", "Y", "K'", "Rơ", "A", "Ksor", "Siu"];
const MIDDLE_MALE: &[&str] =
    &["Văn", "Văn", "Đức", "Hữu", "Minh", "Quang", "Công", "Xuân", "Đình", "Thế", "Trọng", "Bá"];
const MIDDLE_FEMALE: &[&str] = &["Thị", "Thị", "Thị", "Ngọc", "Thanh", "Thu", "Minh", "Hồng", "Kim", "Phương", "Bích"];
const GIVEN_MALE: &[&str] = &[
    "An", "Bình", "Cường", "Dũng", "Đạt", "Giang", "Hải", "Hiếu", "Hòa", "Hùng", "Huy", "Khánh", "Kiên", "Lâm", "Long",
    "Mạnh", "Nam", "Nghĩa", "Phong", "Phúc", "Quân", "Quý", "Sơn", "Tài", "Thắng", "Thành", "Tiến", "Toàn", "Trung",
    "Tuấn", "Việt", "Vinh",
];
const GIVEN_FEMALE: &[&str] = &[
    "Anh", "Ánh", "Chi", "Dung", "Duyên", "Hà", "Hạnh", "Hằng", "Hiền", "Hoa", "Hương", "Huyền", "Lan", "Liên", "Linh",
    "Loan", "Mai", "My", "Nga", "Ngân", "Nhung", "Oanh", "Phương", "Quyên", "Thảo", "Thủy", "Trang", "Tuyết", "Uyên",
    "Vân", "Xuân", "Yến",
];

/// A person of the region.
pub(crate) fn person(rng: &mut StdRng, region: Region) -> Person {
    let family = match region {
        Region::NorthernMountains if rng.random_ratio(3, 5) => FAMILY_MOUNTAINS,
        Region::Highlands if rng.random_ratio(1, 2) => FAMILY_HIGHLANDS,
        Region::SouthEast | Region::Mekong => FAMILY_SOUTH,
        Region::NorthernMountains
        | Region::RedRiver
        | Region::NorthCentral
        | Region::SouthCentral
        | Region::Highlands => FAMILY,
    };
    let (gender, middle, given) = if rng.random_ratio(2, 5) {
        (Gender::Female, MIDDLE_FEMALE, GIVEN_FEMALE)
    } else {
        (Gender::Male, MIDDLE_MALE, GIVEN_MALE)
    };
    let full_name = format!("{} {} {}", pick(rng, family, ""), pick(rng, middle, ""), pick(rng, given, ""));
    Person { full_name, gender }
}

/// Prefixes of mobile networks.
const MOBILE_PREFIXES: &[&str] = &["090", "091", "093", "094", "096", "097", "098"];
/// Numbers behind a prefix and three zeros.
const MOBILE_NUMBERS: u32 = 10_000;

/// The phone numbers of one commune: `09x 000 nnnn`. No two of the first 10,000 are the same.
pub(crate) struct Phones {
    prefix: &'static str,
    next: u32,
}

impl Phones {
    pub(crate) fn of_commune(rng: &mut StdRng) -> Self {
        Self { prefix: pick(rng, MOBILE_PREFIXES, "090"), next: rng.random_range(0..MOBILE_NUMBERS) }
    }

    pub(crate) fn next(&mut self) -> String {
        let number = self.next % MOBILE_NUMBERS;
        self.next += 1;
        format!("{} 000 {number:04}", self.prefix)
    }
}

fn pick<T: Copy>(rng: &mut StdRng, from: &[T], otherwise: T) -> T {
    from.choose(rng).copied().unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use toso_catalog::Catalog;
    use toso_core::text::{PersonName, Phone, PlaceName};

    use super::*;

    const REGIONS: [Region; 7] = [
        Region::NorthernMountains,
        Region::RedRiver,
        Region::NorthCentral,
        Region::SouthCentral,
        Region::Highlands,
        Region::SouthEast,
        Region::Mekong,
    ];

    #[test]
    fn every_province_has_its_region() {
        let of = |code| Region::of(UnitRef::new(toso_core::unit::UnitList::L2022, code).unwrap());
        assert_eq!(of("01"), Region::RedRiver);
        assert_eq!(of("11"), Region::NorthernMountains);
        assert_eq!(of("66"), Region::Highlands);
        assert_eq!(of("96"), Region::Mekong);
        let seen: HashSet<_> =
            Catalog::shared().dispatch_provinces().iter().map(|province| Region::of(province.unit)).collect();
        assert_eq!(seen.len(), REGIONS.len());
    }

    #[test]
    fn hamlets_are_valid_and_differ_however_many() {
        for region in REGIONS {
            for (seed, urban) in [(1, true), (2, false), (3, false), (4, false)] {
                let hamlets = hamlets(&mut StdRng::seed_from_u64(seed), region, urban, 60);
                let keys: HashSet<_> = hamlets.iter().map(|hamlet| hamlet_key(&hamlet.name)).collect();
                assert_eq!(keys.len(), 60);
                for hamlet in &hamlets {
                    assert!(PlaceName::parse(&hamlet.name).is_ok(), "{}", hamlet.name);
                    assert_eq!(hamlet_key(&hamlet.written_otherwise()), hamlet_key(&hamlet.name));
                }
            }
        }
        let numbered = hamlets(&mut StdRng::seed_from_u64(1), Region::Mekong, true, 3);
        assert!(numbered.iter().all(|hamlet| hamlet.written_otherwise() != hamlet.name));
    }

    #[test]
    fn every_name_that_can_come_is_a_valid_one() {
        for region in REGIONS {
            let mut rng = StdRng::seed_from_u64(11);
            for _ in 0..2_000 {
                let person = person(&mut rng, region);
                assert!(PersonName::parse(&person.full_name).is_ok(), "{}", person.full_name);
            }
        }
    }

    #[test]
    fn phones_are_valid_numbers_and_differ_within_a_commune() {
        for prefix in MOBILE_PREFIXES.iter().copied() {
            let mut phones = Phones { prefix, next: 9_990 };
            let numbers: HashSet<_> = (0..20).map(|_| Phone::parse(&phones.next()).unwrap()).collect();
            assert_eq!(numbers.len(), 20);
        }
    }
}
