/** The opened graphs of a package. */
import { join } from 'node:path';
import { Encoder } from '../engine/encoder.ts';
import { Classifier, type ClassifierOptions, type TensorGraph } from '../engine/session.ts';
import type { FaceFinder } from '../faces/faces.ts';
import { openFaceFinder } from '../faces/finder.ts';
import { type GraphName, needsOf } from '../models/graphs.ts';
import type { ModelPackage } from '../models/package.ts';
import { logitOf } from '../models/verdict.ts';

/** Those beside the classifier. */
export interface OtherGraphs {
  readonly encoder?: Encoder | undefined;
  readonly audio?: Encoder | undefined;
  /** Not the package's own, but only there where its family looks for faces. */
  readonly faces?: FaceFinder | undefined;
}

export interface PackageGraphs extends OtherGraphs {
  readonly classifier: Classifier;
}

export interface GraphOptions extends ClassifierOptions {
  /** Default: opens a finder of its own. */
  readonly openFaces?: () => Promise<FaceFinder>;
}

/** @throws Error, one line, as `Classifier.open` */
export async function openGraphs(
  { directory, manifest: { graphs, output, pipeline } }: Pick<ModelPackage, 'directory' | 'manifest'>,
  { openFaces = () => openFaceFinder(options), ...options }: GraphOptions,
): Promise<PackageGraphs> {
  const { classifier, encoder, audio } = graphs;
  const openEncoder = (entry: typeof encoder) =>
    entry === undefined ? undefined : Encoder.open(join(directory, entry.file), entry, options);
  return {
    classifier: await Classifier.open(join(directory, classifier.file), classifier, options, (row) =>
      logitOf(row, output),
    ),
    encoder: await openEncoder(encoder),
    audio: await openEncoder(audio),
    faces: needsOf(pipeline.type).faces ? await openFaces() : undefined,
  };
}

/** Those that the package has, by name. */
export function tensorGraphs({
  classifier,
  encoder,
  audio,
}: PackageGraphs): ReadonlyMap<GraphName, TensorGraph> {
  const graphs = [
    ['classifier', classifier],
    ['encoder', encoder],
    ['audio', audio],
  ] as const;
  return new Map(graphs.flatMap(([name, graph]) => (graph === undefined ? [] : [[name, graph] as const])));
}
