//! What the first sectors of a disk say about how it can be started.

/// Bytes from the start of a disk that are looked at: both sizes of sectors have
/// their partition table within.
pub(super) const HEAD: usize = 1 << 20;

/// Boot code of an MBR ends before the disk's signature.
const BOOT_CODE: usize = 440;
/// Where an MBR has its four partitions.
const MBR_ENTRIES: usize = 446;
const MBR_ENTRY: usize = 16;
/// Type of an EFI system partition in an MBR.
const MBR_EFI: u8 = 0xef;
/// Type of the partition that protects a GPT.
const MBR_GPT: u8 = 0xee;

/// Types of partitions as a GPT stores them: the EFI system partition, and that
/// which holds GRUB for a BIOS.
const EFI_SYSTEM: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];
const BIOS_BOOT: [u8; 16] = [
    0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49,
];

/// Kinds of partition tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Mbr,
    Gpt,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) kind: Kind,
    /// Bytes of a sector, as far as the table tells: an MBR does not.
    pub(super) sector: u32,
    /// The first sector has code for a BIOS.
    pub(super) boot_code: bool,
    /// There is an EFI system partition.
    pub(super) efi_system: bool,
    /// There is a partition for GRUB of a BIOS.
    pub(super) bios_boot: bool,
}

/// Reads the table of a disk of which these are the first bytes.
pub(super) fn read(head: &[u8]) -> Option<Table> {
    let boot_code = head.iter().take(BOOT_CODE).any(|byte| *byte != 0);
    let gpt = [512u32, 4096]
        .into_iter()
        .find_map(|sector| Some((sector, gpt_types(head, sector)?)));
    if let Some((sector, types)) = gpt {
        return Some(Table {
            kind: Kind::Gpt,
            sector,
            boot_code,
            efi_system: types.contains(&EFI_SYSTEM),
            bios_boot: types.contains(&BIOS_BOOT),
        });
    }
    let types = mbr_types(head)?;
    Some(Table {
        kind: Kind::Mbr,
        sector: 512,
        boot_code,
        efi_system: types.contains(&MBR_EFI),
        bios_boot: false,
    })
}

fn gpt_types(head: &[u8], sector: u32) -> Option<Vec<[u8; 16]>> {
    let sector = usize::try_from(sector).ok()?;
    let header = head.get(sector..)?;
    if !header.starts_with(b"EFI PART") {
        return None;
    }
    let at = usize::try_from(number::<8>(header, 72)?).ok()?;
    let count = usize::try_from(number::<4>(header, 80)?).ok()?;
    let size = usize::try_from(number::<4>(header, 84)?).ok()?;
    let array = head.get(at.checked_mul(sector)?..)?;
    let types = array
        .chunks(size.max(16))
        .take(count)
        .filter_map(|entry| entry.first_chunk::<16>().copied());
    Some(types.collect())
}

/// The types of partitions; `None` if there is none: the first sector of a
/// filesystem has the same signature.
fn mbr_types(head: &[u8]) -> Option<Vec<u8>> {
    if head.get(510..512)? != [0x55, 0xaa] {
        return None;
    }
    let entries = head.get(MBR_ENTRIES..MBR_ENTRIES + 4 * MBR_ENTRY)?;
    let types: Vec<u8> = entries
        .chunks(MBR_ENTRY)
        .filter_map(|entry| {
            let (state, kind) = (*entry.first()?, *entry.get(4)?);
            let sectors = number::<4>(entry, 12)?;
            (state & 0x7f == 0 && kind != 0 && kind != MBR_GPT && sectors > 0).then_some(kind)
        })
        .collect();
    (!types.is_empty()).then_some(types)
}

/// A little-endian number of so many bytes.
fn number<const SIZE: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let found = bytes.get(at..)?.first_chunk::<SIZE>()?;
    let whole = found.iter().rev();
    Some(whole.fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpt(sector: usize, types: &[[u8; 16]]) -> Vec<u8> {
        let mut head = vec![0u8; HEAD];
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        head[446 + 4] = MBR_GPT;
        head[446 + 12] = 1;
        head[sector..sector + 8].copy_from_slice(b"EFI PART");
        head[sector + 72] = 2;
        head[sector + 80] = 128;
        head[sector + 84] = 128;
        for (index, kind) in types.iter().enumerate() {
            let at = 2 * sector + index * 128;
            head[at..at + 16].copy_from_slice(kind);
        }
        head
    }

    fn mbr(kind: u8) -> Vec<u8> {
        let mut head = vec![0u8; 512];
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        head[446] = 0x80;
        head[446 + 4] = kind;
        head[446 + 12] = 1;
        head
    }

    #[test]
    fn a_gpt_tells_its_sectors_and_types() {
        for sector in [512, 4096] {
            let mut head = gpt(sector, &[BIOS_BOOT, EFI_SYSTEM]);
            let expected = Table {
                kind: Kind::Gpt,
                sector: sector as u32,
                boot_code: false,
                efi_system: true,
                bios_boot: true,
            };
            assert_eq!(read(&head), Some(expected));
            head[0] = 0xeb;
            assert!(read(&head).unwrap().boot_code);
        }
        let other = read(&gpt(512, &[[7; 16]])).unwrap();
        assert!(!other.efi_system && !other.bios_boot);
    }

    #[test]
    fn an_mbr_has_partitions_and_a_filesystem_has_none() {
        let table = read(&mbr(0x83)).unwrap();
        assert_eq!((table.kind, table.efi_system), (Kind::Mbr, false));
        assert!(read(&mbr(0xef)).unwrap().efi_system);
        assert_eq!(read(&mbr(0)), None);
        assert_eq!(read(&[]), None);
        assert_eq!(read(&vec![0u8; HEAD]), None);
    }

    #[test]
    fn nonsense_is_no_table_and_no_panic() {
        let mut head = gpt(512, &[EFI_SYSTEM]);
        for (at, byte) in [(512 + 79, 0xff), (512 + 84, 0), (512 + 80, 0xff)] {
            let before = std::mem::replace(&mut head[at], byte);
            let _ = read(&head);
            head[at] = before;
        }
        let mut cut = gpt(4096, &[EFI_SYSTEM]);
        cut.truncate(4096 + 20);
        assert_eq!(read(&cut), None);
    }
}
