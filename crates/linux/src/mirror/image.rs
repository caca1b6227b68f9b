//! From an [`Image`], what the kernel tells of a map, to an [`Mm`].

use std::sync::Arc;

use vmaple::{
    AddrRange, AnonVma, AnonVmaId, Backing, GateVma, Mm, SpecialMapping, UnknownMnemonic, VmFlags,
    Vma,
};

use super::file::FileBook;
use crate::event::{Image, ImageBacking, ImageVma};

/// Why an image cannot be taken for an address space.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A flag of a newer kernel.
    #[error("mapping at {start:#x}: VmFlags {flags:?}: {source}")]
    Flags {
        /// Where.
        start: u64,
        /// The line of smaps.
        flags: String,
        /// Which word.
        source: UnknownMnemonic,
    },
    /// Mappings overlap or are out of order.
    #[error("the map is not one: {0}")]
    Map(String),
}

/// The address space that `image` describes, its files entered into `files`.
pub(super) fn build(image: &Image, files: &mut FileBook) -> Result<Mm, ImageError> {
    let mut vmas = Vec::with_capacity(image.vmas.len());
    let mut gate = None;
    for (index, line) in image.vmas.iter().enumerate() {
        let flags = flags(line)?;
        if let ImageBacking::Gate(name) = &line.backing {
            gate = Some(GateVma {
                range: AddrRange::new(line.start, line.end),
                flags,
                name: name.as_str().into(),
            });
            continue;
        }
        vmas.push(vma(image, line, flags, index as u64 + 1, files));
    }
    let mut mm = Mm::seed(image.config.clone(), image.areas, vmas, gate)
        .map_err(|error| ImageError::Map(error.to_string()))?;
    for line in image
        .vmas
        .iter()
        .filter(|line| line.faulted && !line.inherited)
    {
        mm.note_faulted(line.start);
    }
    Ok(mm)
}

fn flags(line: &ImageVma) -> Result<VmFlags, ImageError> {
    let flags = VmFlags::from_mnemonics(&line.flags).map_err(|source| ImageError::Flags {
        start: line.start,
        flags: line.flags.clone(),
        source,
    })?;
    // Linux has 16 keys at the most.
    Ok(flags.with_pkey(u8::try_from(line.pkey).unwrap_or(0)))
}

fn vma(image: &Image, line: &ImageVma, flags: VmFlags, id: u64, files: &mut FileBook) -> Vma {
    let shift = image.config.page_size.trailing_zeros();
    let (backing, pgoff) = match &line.backing {
        ImageBacking::Anonymous | ImageBacking::Named(_) | ImageBacking::Gate(_) => (
            Backing::Anonymous,
            line.anon_pgoff.unwrap_or(line.start >> shift),
        ),
        ImageBacking::File(facts) => (Backing::File(files.file(facts)), line.offset >> shift),
        ImageBacking::Special(name) => {
            let special = SpecialMapping {
                name: Arc::from(name.as_str()),
                may_split: false,
            };
            (Backing::Special(special), line.offset >> shift)
        }
    };
    let mut vma = Vma::new(AddrRange::new(line.start, line.end), flags, pgoff, backing);
    if let ImageBacking::Named(name) = &line.backing {
        vma.anon_name = Some(Arc::from(name.as_str()));
    }
    if line.inherited {
        vma.anon_vma = Some(AnonVma {
            id: AnonVmaId(id),
            inherited: true,
        });
    }
    vma
}
