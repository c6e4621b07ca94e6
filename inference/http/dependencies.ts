/** What the HTTP side is built from. */
import type { Judgements } from '../cache/judgements.ts';
import type { Config } from '../config/config.ts';
import type { Spool } from '../media/spool.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { ProgressBus } from '../observability/progress-bus.ts';
import type { Analyzer } from '../pipelines/analyzer.ts';

export interface ServerDependencies {
  readonly config: Config;
  readonly analyzer: Analyzer;
  readonly judgements: Judgements;
  readonly spool: Spool;
  readonly metrics: Metrics;
  readonly progress: ProgressBus;
  readonly logger: Logger;
  /** True from the moment at which the process was asked to stop. */
  readonly isDraining: () => boolean;
  /** Aborted when a stopping process waits for uploads no longer; the reason is what their clients are told. */
  readonly uploadsEnd: AbortSignal;
}
