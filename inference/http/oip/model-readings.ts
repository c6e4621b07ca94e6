/** The statistics of every model that the protocol serves, each package as the detector and each of its graphs alone. */
import { type GraphName, graphsOf } from '../../models/graphs.ts';
import type { Statistics } from '../../observability/statistics.ts';
import type { ModelReading } from '../../observability/triton-metrics.ts';
import type { Analyzer } from '../../pipelines/analyzer.ts';
import { graphModelName } from './graph-model.ts';

export function modelReadings(analyzer: Analyzer, statistics: Statistics): readonly ModelReading[] {
  const waiting = analyzer.waitingJobs();
  /** @param graph undefined for the detector */
  const pendingOf = (name: string, graph?: GraphName) =>
    waiting.filter(
      (job) => job.model === name && (job.type === 'tensors' ? job.graph === graph : graph === undefined),
    ).length;
  return analyzer.models.flatMap(({ name, manifest }) => {
    const { version } = manifest;
    const graphs = graphsOf(manifest).map(({ name: graph }) => {
      const model = graphModelName(name, graph);
      return { model, version, statistics: statistics.of(model), pending: pendingOf(name, graph) };
    });
    return [{ model: name, version, statistics: statistics.of(name), pending: pendingOf(name) }, ...graphs];
  });
}
