/** In which form a package's graphs are served: in full precision, or in a smaller one that the package brings for some devices. */
import type { Device } from '../engine/session.ts';
import { type GraphName, graphsOf } from './graphs.ts';
import type { Manifest } from './manifest.ts';

/** What a graph computes with. It takes and gives float32 whatever this says. */
export type Precision = 'fp32' | 'fp16' | 'int8';

/** What the configuration asks for. */
export type WantedPrecision = 'auto' | Precision;

/** A manifest in which the graphs that are served stand for the package's, with their calibration, thresholds and tolerances. */
export interface ServedManifest {
  readonly manifest: Manifest;
  readonly precision: Precision;
}

const preferred: Readonly<Record<Device, Precision>> = { cpu: 'int8', cuda: 'fp16', tensorrt: 'fp16' };

/** A precision was asked for that the package does not have. `message` is one line: what, where and what to do. */
export class PrecisionError extends Error {
  override readonly name = 'PrecisionError';
}

/**
 * Of several graphs, those that lack the precision are served as they are.
 * @throws PrecisionError where none has it
 */
export function servedManifest(manifest: Manifest, device: Device, wanted: WantedPrecision): ServedManifest {
  const variants = graphsOf(manifest).flatMap(({ name, graph }) =>
    (graph.variants ?? []).map((variant) => ({ name, variant })),
  );
  const precision = wanted === 'auto' ? preferred[device] : wanted;
  const served = variants.filter(({ variant }) => variant.precision === precision);
  if (served.length > 0) return { manifest: withVariants(manifest, served), precision };
  if (wanted === 'auto' || wanted === 'fp32') return { manifest, precision: 'fp32' };
  const known = ['fp32', ...new Set(variants.map(({ variant }) => variant.precision))].join(', ');
  throw new PrecisionError(
    `PRECISION=${wanted}: the package ${manifest.name} has no such graph, but ${known}; set PRECISION to one of these or to auto`,
  );
}

interface NamedVariant {
  readonly name: GraphName;
  readonly variant: NonNullable<Manifest['graphs']['classifier']['variants']>[number];
}

/** No two of the variants state the same: the manifest was refused otherwise. */
function withVariants(manifest: Manifest, served: readonly NamedVariant[]): Manifest {
  const stated = <Key extends 'calibration' | 'thresholds' | 'goldenTolerance'>(key: Key) =>
    served.map(({ variant }) => variant[key]).find((value) => value !== undefined);
  const tolerance = stated('goldenTolerance');
  const graphs = { ...manifest.graphs };
  for (const { name, variant } of served) {
    const { file, sha256 } = variant;
    const graph = graphs[name];
    if (graph !== undefined) graphs[name] = { ...graph, file, sha256 };
  }
  return {
    ...manifest,
    graphs,
    calibration: stated('calibration') ?? manifest.calibration,
    thresholds: stated('thresholds') ?? manifest.thresholds,
    golden: manifest.golden.map((golden) => ({ ...golden, tolerance: tolerance ?? golden.tolerance })),
  };
}
