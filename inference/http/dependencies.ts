/** What the HTTP side is built from. */
import type { Judgements } from '../cache/judgements.ts';
import type { Config } from '../config/config.ts';
import type { Spool } from '../media/spool.ts';
import type { DecisionLog } from '../observability/decision-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { ProgressBus } from '../observability/progress-bus.ts';
import type { Statistics } from '../observability/statistics.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { Analyzer } from '../pipelines/analyzer.ts';
import type { RedisConnection } from '../redis/connection.ts';
import type { AuditLog } from './access/audit.ts';
import type { Authenticator } from './access/authenticator.ts';

export interface ServerDependencies {
  readonly config: Config;
  readonly analyzer: Analyzer;
  readonly judgements: Judgements;
  readonly spool: Spool;
  readonly metrics: Metrics;
  readonly statistics: Statistics;
  readonly decisions: DecisionLog;
  readonly progress: ProgressBus;
  /** Undefined for a pod that shares nothing with others. */
  readonly redis: RedisConnection | undefined;
  readonly authenticator: Authenticator;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly tracing: Tracing;
  /** True from the moment at which the process was asked to stop. */
  readonly isDraining: () => boolean;
  /** Aborted when a stopping process waits for uploads no longer; the reason is what their clients are told. */
  readonly uploadsEnd: AbortSignal;
}
