/** Structured logs on standard output, one JSON object a line. Secrets, and names and content of uploaded files, are never in them. */
import { type DestinationStream, type Logger, pino } from 'pino';
import { redacted } from './redact.ts';

export type { Logger };

export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: members,
    },
    serializers: {
      // Libraries hang requests with their headers on errors.
      err: (error: Error) => members(pino.stdSerializers.err(error)),
    },
  };
  return withRedactedChildren(destination === undefined ? pino(options) : pino(options, destination));
}

/** pino gives the fields of child loggers to no formatter. Children of children inherit the method. */
function withRedactedChildren(logger: Logger): Logger {
  const { child } = logger;
  const redactedChild = function (this: Logger, bindings: object, options?: object) {
    return child.call(this, members(bindings), options);
  };
  return Object.assign(logger, { child: redactedChild });
}

function members(value: object): Record<string, unknown> {
  return redacted(value) as Record<string, unknown>;
}
