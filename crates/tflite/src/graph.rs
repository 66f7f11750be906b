//! The model's graph, read and verified before the C library sees it.
//!
//! What is checked here: the file's identifier, every table and vector, and that operators come after what they read.
//! Tensors are checked in [`crate::tensors`], and what each operator demands of its tensors and options in
//! [`crate::operators`].

use std::collections::HashSet;

use crate::error::Error;
use crate::flatbuffer::{Damage, Table, Vector};
use crate::node::{Operator, Tensor};
use crate::operators;
use crate::tensor::TensorInfo;
use crate::tensors::tensors;

/// Most multiplications of one run: far more than any face network takes, and seconds rather than hours.
const MOST_MULTIPLICATIONS: u64 = 1 << 34;

/// What stays known of a verified graph.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) inputs: Vec<TensorInfo>,
    pub(crate) outputs: Vec<TensorInfo>,
    pub(crate) operators: Vec<String>,
}

/// Verifies the whole file.
pub(crate) fn verify(bytes: &[u8]) -> Result<Summary, Error> {
    let corrupt = Error::Corrupt;
    let model = Table::root(bytes).map_err(corrupt)?;
    let buffers = buffers(&model)?;
    let codes = operator_codes(&model)?;
    let subgraphs = model.tables(2).map_err(corrupt)?;
    let [subgraph] = &subgraphs[..] else {
        return Err(Error::Unsupported(format!(
            "{} subgraphs instead of one",
            subgraphs.len()
        )));
    };
    check_names(&model, subgraph, buffers.len())?;
    let tensors = tensors(subgraph, &buffers)?;
    let graph = Graph {
        tensors: &tensors,
        codes: &codes,
    };
    graph.verify(subgraph)
}

/// The constant data of each buffer.
fn buffers<'a>(model: &Table<'a>) -> Result<Vec<Vector<'a>>, Error> {
    let mut buffers = Vec::new();
    for buffer in model.tables(4).map_err(Error::Corrupt)? {
        if buffer.u64(1).map_err(Error::Corrupt)? != 0 || buffer.u64(2).map_err(Error::Corrupt)? != 0 {
            return Err(Error::Unsupported("constants outside the FlatBuffer".to_owned()));
        }
        let data = buffer.vector(0, 1).map_err(Error::Corrupt)?;
        buffers.push(data);
    }
    Ok(buffers)
}

/// Number and name of each operator code.
fn operator_codes(model: &Table<'_>) -> Result<Vec<(i32, String)>, Error> {
    let mut codes = Vec::new();
    for code in model.tables(1).map_err(Error::Corrupt)? {
        let read = || -> Result<_, Damage> {
            // Old files have a byte in field 0; new ones 32 bits in field 3. The larger one counts.
            let number = i32::from(code.u8(0)? as i8).max(code.i32(3, 0)?);
            Ok((number, code.string(1)?, code.i32(2, 1)?))
        };
        let (number, custom, version) = read().map_err(Error::Corrupt)?;
        let name = operators::name(number, custom).map_err(Error::Unsupported)?;
        if !(1..=64).contains(&version) {
            return Err(Error::Corrupt(format!("operator {name} has version {version}")));
        }
        codes.push((number, name));
    }
    Ok(codes)
}

/// Descriptions, metadata and signatures: nothing that we use, but the C library reads them.
fn check_names(model: &Table<'_>, subgraph: &Table<'_>, buffers: usize) -> Result<(), Error> {
    let check = || -> Result<(), Damage> {
        model.string(3)?;
        model.vector(5, 4)?;
        subgraph.string(4)?;
        for metadata in model.tables(6)? {
            metadata.string(0)?.ok_or("a metadata entry has no name")?;
            if metadata.u32(1)? as usize >= buffers {
                return Err("a metadata entry names a buffer that is not there".to_owned());
            }
        }
        Ok(())
    };
    check().map_err(Error::Corrupt)?;
    for signature in model.tables(7).map_err(Error::Corrupt)? {
        let check = || -> Result<(), Damage> {
            let tensors = subgraph.tables(0)?.len();
            for field in [0, 1] {
                for entry in signature.tables(field)? {
                    entry.string(0)?.ok_or("a signature's tensor has no name")?;
                    if entry.u32(1)? as usize >= tensors {
                        return Err("a signature names a tensor that is not there".to_owned());
                    }
                }
            }
            signature.string(2)?.ok_or("a signature has no name")?;
            if signature.u32(4)? != 0 {
                return Err("a signature names a subgraph that is not there".to_owned());
            }
            Ok(())
        };
        check().map_err(Error::Corrupt)?;
    }
    Ok(())
}

struct Graph<'g, 'a> {
    tensors: &'g [Tensor<'a>],
    codes: &'g [(i32, String)],
}

impl<'a> Graph<'_, 'a> {
    fn verify(&self, subgraph: &Table<'a>) -> Result<Summary, Error> {
        let (inputs, outputs) = (self.places(subgraph, 1)?, self.places(subgraph, 2)?);
        let mut written: HashSet<usize> = HashSet::new();
        for place in &inputs {
            if self.tensors[*place].constant.is_some() || !written.insert(*place) {
                return Err(Error::Corrupt(format!(
                    "input tensor {place} is a constant or named twice"
                )));
            }
        }
        let mut names = Vec::new();
        let mut multiplications = 0u64;
        for table in subgraph.tables(3).map_err(Error::Corrupt)? {
            let (operator, name) = self.operator(&table)?;
            let complain =
                |what: String| Error::Corrupt(format!("operator {} ({name}): {what}", names.len()));
            self.check_order(&operator, &mut written).map_err(complain)?;
            let cost = operators::check(&operator, self.tensors).map_err(complain)?;
            multiplications = multiplications.saturating_add(cost);
            names.push(name);
        }
        if multiplications > MOST_MULTIPLICATIONS {
            return Err(Error::Unsupported(format!("{multiplications} multiplications")));
        }
        if let Some(place) = outputs.iter().find(|place| !written.contains(place)) {
            return Err(Error::Corrupt(format!(
                "nothing writes the output tensor {place}"
            )));
        }
        let infos = |places: &[usize]| places.iter().map(|p| self.tensors[*p].info.clone()).collect();
        Ok(Summary {
            inputs: infos(&inputs),
            outputs: infos(&outputs),
            operators: names,
        })
    }

    /// Tensor places of the graph's inputs (field 1) or outputs (field 2).
    fn places(&self, subgraph: &Table<'a>, field: usize) -> Result<Vec<usize>, Error> {
        let places = subgraph.vector(field, 4).map_err(Error::Corrupt)?.i32s();
        if places.is_empty() || places.len() > 64 {
            return Err(Error::Unsupported(format!("{} inputs or outputs", places.len())));
        }
        let there = |place: &i32| usize::try_from(*place).ok().filter(|p| *p < self.tensors.len());
        let found: Option<Vec<usize>> = places.iter().map(there).collect();
        found.ok_or_else(|| Error::Corrupt("an input or output tensor is not there".to_owned()))
    }

    fn operator(&self, table: &Table<'a>) -> Result<(Operator<'a>, String), Error> {
        let read = || -> Result<_, Damage> {
            if table.has(6)? && table.u8(6)? != 0 {
                return Err("options in an unknown format".to_owned());
            }
            if table.vector(7, 1)?.len() > 0 || table.vector(8, 4)?.len() > 0 {
                return Err("an operator with state".to_owned());
            }
            if table.u64(9)? != 0 || table.u64(10)? != 0 || table.u8(11)? != 0 {
                return Err("options outside the operator".to_owned());
            }
            table.vector(5, 1)?;
            let options = table.table(4)?;
            let kind = table.u8(3)?;
            if options.is_some() != (kind != 0) {
                return Err("options without a type, or a type without options".to_owned());
            }
            let operator = Operator {
                code: 0,
                inputs: table.vector(1, 4)?.i32s(),
                outputs: table.vector(2, 4)?.i32s(),
                options: options.map(|options| (kind, options)),
            };
            Ok((table.u32(0)? as usize, operator))
        };
        let (index, mut operator) = read().map_err(Error::Corrupt)?;
        let (code, name) = self
            .codes
            .get(index)
            .ok_or_else(|| Error::Corrupt(format!("operator code {index} is not there")))?;
        operator.code = *code;
        Ok((operator, name.clone()))
    }

    /// An operator reads constants and what was written before, and writes what nobody else writes.
    fn check_order(&self, operator: &Operator<'_>, written: &mut HashSet<usize>) -> Result<(), Damage> {
        for place in operator.inputs.iter().filter(|place| **place != -1) {
            let tensor = usize::try_from(*place)
                .ok()
                .and_then(|p| Some((p, self.tensors.get(p)?)));
            match tensor {
                Some((_, tensor)) if tensor.constant.is_some() => {}
                Some((p, _)) if written.contains(&p) => {}
                _ => return Err(format!("it reads tensor {place}, which is not there yet")),
            }
        }
        for place in &operator.outputs {
            let tensor = usize::try_from(*place)
                .ok()
                .and_then(|p| Some((p, self.tensors.get(p)?)));
            match tensor {
                Some((p, tensor)) if tensor.constant.is_none() && written.insert(p) => {}
                _ => return Err(format!("it writes tensor {place}, which it must not")),
            }
        }
        Ok(())
    }
}
