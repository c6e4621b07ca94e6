/** The drift of each model that is served, as a metric. */
import { LRUCache } from 'lru-cache';
import { Gauge, type Registry } from 'prom-client';
import type { NamedPackage } from '../models/package.ts';
import { ScoreDrift } from './score-drift.ts';

export type DriftingModel = Pick<NamedPackage, 'name' | 'digest' | 'precision'> & {
  readonly manifest: Pick<NamedPackage['manifest'], 'version'>;
};

/** Packages that are remembered; those that nobody used for longest are forgotten. */
const maxPackages = 64;

export class DriftMetric {
  readonly #drifts = new LRUCache<string, ScoreDrift>({ max: maxPackages });

  /** @param readModels is asked at every scrape for those that are served */
  constructor(registry: Registry, readModels: () => readonly DriftingModel[]) {
    const driftOf = (model: DriftingModel) => this.#drifts.get(identityOf(model))?.value;
    new Gauge({
      name: 'deepfake_drift_score',
      help: 'Population stability index of the latest 500 scores that the model computed against its first 500 since the start; absent before 600, more than 0.25 is a shift',
      labelNames: ['model', 'version'],
      registers: [registry],
      collect() {
        this.reset();
        for (const model of readModels()) {
          const value = driftOf(model);
          if (value !== undefined) this.set({ model: model.name, version: model.manifest.version }, value);
        }
      },
    });
  }

  /** @param score that the model computed now: a known result says nothing new of what comes in */
  add(model: DriftingModel, score: number): void {
    const identity = identityOf(model);
    const drift = this.#drifts.get(identity) ?? new ScoreDrift();
    drift.add(score);
    this.#drifts.set(identity, drift);
  }
}

/** Another package, and another graph of it, may score the same files otherwise: it begins anew. */
function identityOf({ name, digest, precision }: DriftingModel): string {
  return `${name}:${digest}:${precision}`;
}
