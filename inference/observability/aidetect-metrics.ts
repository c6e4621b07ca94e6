/** The metrics of an older detector under their own names, for dashboards that are not changed yet. Switched on by METRICS_COMPAT=aidetect. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Thresholds } from '../models/manifest.ts';
import { confidenceOf, predictionOf } from '../models/verdict.ts';

export class AidetectMetrics {
  readonly #predictions: Counter<'status' | 'prediction' | 'confidence'>;
  readonly #latencySeconds: Histogram;
  readonly #probability: Histogram;
  readonly #batchSize: Histogram;
  readonly #validationErrors: Counter<'error_type'>;
  readonly #rateLimitExceeded: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#predictions = new Counter({
      name: 'aidetect_predictions_total',
      help: 'Predictions by status (success, error), class (real, ai_generated) and confidence (low, medium, high)',
      labelNames: ['status', 'prediction', 'confidence'],
      registers,
    });
    this.#latencySeconds = new Histogram({
      name: 'aidetect_prediction_latency_seconds',
      help: 'Time from the first byte of a request to its verdict',
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.#probability = new Histogram({
      name: 'aidetect_prediction_probability',
      help: 'Calibrated P(fake) of the answers',
      buckets: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
      registers,
    });
    this.#batchSize = new Histogram({
      name: 'aidetect_batch_size',
      help: 'Files in one request',
      buckets: [1, 2, 5, 10, 15, 20],
      registers,
    });
    this.#validationErrors = new Counter({
      name: 'aidetect_image_validation_errors_total',
      help: 'Files that were refused, by the code of the error',
      labelNames: ['error_type'],
      registers,
    });
    this.#rateLimitExceeded = new Counter({
      name: 'aidetect_rate_limit_exceeded_total',
      help: 'Requests that were answered with 429',
      registers,
    });
  }

  /** @param score calibrated P(fake), or null where nothing could be judged: that is no prediction */
  countPrediction(score: number | null, thresholds: Thresholds, seconds: number): void {
    const prediction = predictionOf(score, thresholds);
    if (score === null || prediction === null) return;
    this.#predictions.inc({
      status: 'success',
      prediction: prediction === 'FAKE' ? 'ai_generated' : 'real',
      confidence: levelOf(confidenceOf(score, prediction)),
    });
    this.#latencySeconds.observe(seconds);
    this.#probability.observe(score);
  }

  countFailure(): void {
    this.#predictions.inc({ status: 'error', prediction: 'none', confidence: 'none' });
  }

  countRejection(code: string): void {
    this.#validationErrors.inc({ error_type: code });
  }

  countBatch(files: number): void {
    this.#batchSize.observe(files);
  }

  countRateLimit(): void {
    this.#rateLimitExceeded.inc();
  }
}

function levelOf(confidence: number): 'low' | 'medium' | 'high' {
  if (confidence >= 0.9) return 'high';
  return confidence >= 0.7 ? 'medium' : 'low';
}
