import { hostname } from 'node:os';
import { z } from 'zod';

const names = z
  .string()
  .default('')
  .transform((text) =>
    [...new Set(text.split(',').map((name) => name.trim()))].filter((name) => name !== ''),
  );

const environment = z.object({
  /** Image of serving pods and fetch Jobs. */
  INFERENCE_IMAGE: z.string().min(1),
  /** Images of serving pods on an accelerator; not set: pods of that device are not made. */
  INFERENCE_IMAGE_CUDA: z.string().optional(),
  INFERENCE_IMAGE_TENSORRT: z.string().optional(),
  INFERENCE_IMAGE_PULL_POLICY: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  /** Comma list of Secrets in the namespaces of the pods. */
  INFERENCE_IMAGE_PULL_SECRETS: names,
  /** Comma list; empty: every namespace. */
  WATCH_NAMESPACES: names,
  LEADER_ELECTION: z
    .enum(['true', 'false'])
    .default('true')
    .transform((text) => text === 'true'),
  LEASE_NAME: z.string().min(1).default('deepfake-operator'),
  LEASE_NAMESPACE: z.string().optional(),
  POD_NAMESPACE: z.string().default('default'),
  POD_NAME: z.string().min(1).default(`${hostname()}-${process.pid}`),
  /** Serves /healthz, /readyz and /metrics. 0: any free port. */
  METRICS_PORT: z.coerce.number().int().min(0).max(65535).default(8081),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
});

export type Config = z.output<typeof environment>;

/** Reads the configuration, or throws one error that lists everything that is wrong with it. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  // An empty variable is how a chart says "not set".
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const { success, data, error } = environment.safeParse(given);
  if (success) return data;
  const problems = error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new Error(`configuration from the environment: ${problems.join('; ')}`);
}
