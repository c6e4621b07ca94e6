/** The graphs of a package: `classifier`, which has the last word, and beside it those that its family needs. Pure. */
import type { z } from 'zod';
import type { PipelineParameters } from './pipeline-parameters.ts';

export const graphNames = ['classifier', 'encoder', 'audio'] as const;
export type GraphName = (typeof graphNames)[number];
type FamilyType = PipelineParameters['type'];
type Graphs<Graph> = Readonly<Partial<Record<GraphName, Graph | undefined>>>;

/** What a graph's variant may state beside its file. */
interface Variant {
  readonly precision: 'int8' | 'fp16';
  readonly calibration?: unknown;
  readonly thresholds?: unknown;
  readonly goldenTolerance?: unknown;
}

interface CheckedGraph {
  readonly variants?: readonly Variant[] | undefined;
  readonly joint?: unknown;
}

/** What a family needs beside one graph that takes one tensor. */
interface Needs {
  readonly graphs: readonly Exclude<GraphName, 'classifier'>[];
  /** Whether its classifier takes the features of pictures and of sound, and which of them there are. */
  readonly joint: boolean;
  /** Whether it looks for faces, with graphs that come with the program. */
  readonly faces: boolean;
}

const oneGraph: Needs = { graphs: [], joint: false, faces: false };
const needs: Readonly<Partial<Record<FamilyType, Needs>>> = {
  'image-faces': { ...oneGraph, faces: true },
  'video-faces': { ...oneGraph, faces: true },
  'video-colour-cues': { ...oneGraph, faces: true },
  'video-eye-blink': { ...oneGraph, faces: true },
  'video-temporal': { ...oneGraph, graphs: ['encoder'] },
  'video-audio': { ...oneGraph, graphs: ['encoder', 'audio'], joint: true },
};

export function needsOf(type: FamilyType): Needs {
  return needs[type] ?? oneGraph;
}

/** Those that a package has, in a fixed order. */
export function graphsOf<Graph>({
  graphs,
}: {
  readonly graphs: Graphs<Graph>;
}): { readonly name: GraphName; readonly graph: Graph }[] {
  return graphNames.flatMap((name) => {
    const graph = graphs[name];
    return graph === undefined ? [] : [{ name, graph }];
  });
}

/** Reports graphs that a family needs and does not have, or has and does not know, and variants that disagree. */
export function checkGraphs(
  {
    pipeline: { type },
    graphs,
  }: { readonly pipeline: { readonly type: FamilyType }; readonly graphs: Graphs<CheckedGraph> },
  context: Pick<z.core.$RefinementCtx, 'addIssue'>,
): void {
  const refuse = (path: readonly string[], message: string) =>
    context.addIssue({ code: 'custom', path: ['graphs', ...path], message });
  const needed = needsOf(type);
  for (const name of graphNames) {
    if (name === 'classifier') continue;
    const isThere = graphs[name] !== undefined;
    if (isThere === needed.graphs.includes(name)) continue;
    refuse(
      [name],
      isThere ? `a package of ${type} has no such graph` : `a package of ${type} needs this graph`,
    );
  }
  const isJoint = graphs.classifier?.joint !== undefined;
  if (isJoint !== needed.joint)
    refuse(
      ['classifier', 'joint'],
      isJoint ? `the classifier of ${type} has one input` : `the classifier of ${type} needs these inputs`,
    );
  for (const { precision, what } of statedTwice(graphs))
    refuse([], `variants of ${precision} state ${what} in two graphs`);
}

/** A score has one calibration, whichever graphs made it. */
function statedTwice(graphs: Graphs<CheckedGraph>) {
  const variants = graphsOf({ graphs }).flatMap(({ graph }) => graph.variants ?? []);
  return (['int8', 'fp16'] as const).flatMap((precision) =>
    (['calibration', 'thresholds', 'goldenTolerance'] as const).flatMap((what) => {
      const statements = variants.filter(
        (variant) => variant.precision === precision && variant[what] !== undefined,
      );
      return statements.length > 1 ? [{ precision, what }] : [];
    }),
  );
}
