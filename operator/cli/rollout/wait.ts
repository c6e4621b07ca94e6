/** When `rollout status` has waited enough. Pure. */
import type { ModelDeployment } from '../../controllers/kinds.ts';
import { EXIT, type ExitCode } from '../errors.ts';
import { situationOf, stepPlace, waitsForPerson } from './situation.ts';

/** What the command ends with; undefined: it goes on by itself, so wait on. */
export function endOf(deployment: ModelDeployment): ExitCode | undefined {
  const situation = situationOf(deployment);
  if (!situation.heeded) return undefined;
  switch (situation.phase) {
    case 'Healthy':
      return EXIT.ok;
    case 'Degraded':
      return EXIT.degraded;
    case 'Paused':
      return waitsForPerson(situation) ? EXIT.paused : undefined;
    case 'Progressing':
      return undefined;
  }
}

/** One line of how it goes. */
export function progressText(deployment: ModelDeployment): string {
  const { phase, step, message } = situationOf(deployment);
  return `${phase}${step ? ` at ${stepPlace(step)}` : ''}: ${message}`;
}
