/** The opened graphs of a package. */
import { join } from 'node:path';
import { Encoder } from '../engine/encoder.ts';
import { Classifier, type ClassifierOptions, type TensorGraph } from '../engine/session.ts';
import type { GraphName } from '../models/graphs.ts';
import type { ModelPackage } from '../models/package.ts';
import { logitOf } from '../models/verdict.ts';

/** Those beside the classifier. */
export interface OtherGraphs {
  readonly encoder?: Encoder | undefined;
  readonly audio?: Encoder | undefined;
}

export interface PackageGraphs extends OtherGraphs {
  readonly classifier: Classifier;
}

/** @throws Error, one line, as `Classifier.open` */
export async function openGraphs(
  { directory, manifest: { graphs, output } }: Pick<ModelPackage, 'directory' | 'manifest'>,
  options: ClassifierOptions,
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
