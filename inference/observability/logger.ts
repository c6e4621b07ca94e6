/** Structured logs on standard output. Secrets are removed by path; names of uploaded files are never logged. */
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

const secretPaths = [
  'apiKey',
  'apiKeys',
  'authorization',
  'redisUrl',
  '*.apiKey',
  '*.apiKeys',
  '*.authorization',
  '*.redisUrl',
  'req.headers',
  '*.headers',
];

export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretPaths, censor: '[redacted]' },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
