/** The statistics of every model that the protocol serves, each package as the detector and as its graph alone. */
import type { Statistics } from '../../observability/statistics.ts';
import type { ModelReading } from '../../observability/triton-metrics.ts';
import type { Analyzer } from '../../pipelines/analyzer.ts';
import { graphModelName } from './graph-model.ts';

export function modelReadings(analyzer: Analyzer, statistics: Statistics): readonly ModelReading[] {
  const waiting = analyzer.waitingJobs();
  const pendingOf = (name: string, type: 'analyse' | 'tensors') =>
    waiting.filter((job) => job.type === type && job.model === name).length;
  return analyzer.models.flatMap(({ name, manifest: { version } }) => {
    const graph = graphModelName(name);
    return [
      { model: name, version, statistics: statistics.of(name), pending: pendingOf(name, 'analyse') },
      { model: graph, version, statistics: statistics.of(graph), pending: pendingOf(name, 'tensors') },
    ];
  });
}
