/** Which of a package's graphs is served: the one of full precision, or a smaller one that the package brings for some devices. */
import type { Device } from '../engine/session.ts';
import type { Manifest } from './manifest.ts';

/** What a graph computes with. It takes and gives float32 whatever this says. */
export type Precision = 'fp32' | 'fp16' | 'int8';

/** What the configuration asks for. */
export type WantedPrecision = 'auto' | Precision;

/** A manifest in which the graph that is served stands for the classifier, with its calibration, thresholds and tolerances. */
export interface ServedManifest {
  readonly manifest: Manifest;
  readonly precision: Precision;
}

const preferred: Readonly<Record<Device, Precision>> = { cpu: 'int8', cuda: 'fp16', tensorrt: 'fp16' };

/** A precision was asked for that the package does not have. `message` is one line: what, where and what to do. */
export class PrecisionError extends Error {
  override readonly name = 'PrecisionError';
}

/** @throws PrecisionError */
export function servedManifest(manifest: Manifest, device: Device, wanted: WantedPrecision): ServedManifest {
  const variants = manifest.graphs.classifier.variants ?? [];
  const precision = wanted === 'auto' ? preferred[device] : wanted;
  const variant = variants.find((candidate) => candidate.precision === precision);
  if (variant !== undefined)
    return { manifest: withVariant(manifest, variant), precision: variant.precision };
  if (wanted === 'auto' || wanted === 'fp32') return { manifest, precision: 'fp32' };
  const known = ['fp32', ...variants.map((candidate) => candidate.precision)].join(', ');
  throw new PrecisionError(
    `PRECISION=${wanted}: the package ${manifest.name} has no such graph, but ${known}; set PRECISION to one of these or to auto`,
  );
}

type Variant = NonNullable<Manifest['graphs']['classifier']['variants']>[number];

function withVariant(manifest: Manifest, variant: Variant): Manifest {
  const { file, sha256, calibration, thresholds, goldenTolerance } = variant;
  return {
    ...manifest,
    graphs: { ...manifest.graphs, classifier: { ...manifest.graphs.classifier, file, sha256 } },
    calibration: calibration ?? manifest.calibration,
    thresholds: thresholds ?? manifest.thresholds,
    golden: manifest.golden.map((golden) => ({ ...golden, tolerance: goldenTolerance ?? golden.tolerance })),
  };
}
