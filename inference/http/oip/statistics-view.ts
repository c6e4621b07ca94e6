/** The statistics extension's answer. */
import type { z } from 'zod';
import type { Duration } from '../../observability/statistics.ts';
import type { ModelReading } from '../../observability/triton-metrics.ts';
import type { statisticsAnswer } from './messages.ts';

const none = { count: 0, ns: 0 };

export function statisticsView(readings: readonly ModelReading[]): z.infer<typeof statisticsAnswer> {
  return { model_stats: readings.map(modelStatistics) };
}

function modelStatistics({ model, version, statistics }: ModelReading) {
  return {
    name: model,
    version,
    last_inference: statistics.lastInferenceAt,
    inference_count: statistics.inferences,
    execution_count: statistics.executions,
    inference_stats: {
      success: inNanoseconds(statistics.success),
      fail: inNanoseconds(statistics.fail),
      queue: inNanoseconds(statistics.queue),
      compute_input: inNanoseconds(statistics.computeInput),
      compute_infer: inNanoseconds(statistics.computeInfer),
      compute_output: inNanoseconds(statistics.computeOutput),
      cache_hit: none,
      cache_miss: none,
    },
    batch_stats: statistics.batches.map(({ batchSize, infer }) => ({
      batch_size: batchSize,
      compute_input: none,
      compute_infer: inNanoseconds(infer),
      compute_output: none,
    })),
  };
}

function inNanoseconds({ count, ms }: Duration) {
  return { count, ns: Math.round(ms * 1e6) };
}
