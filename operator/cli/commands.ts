/** Every command. A verb of a group is named by its words, such as `rollout promote`. */
import { analyzeCommand } from './analyze/command.ts';
import type { Command } from './command.ts';
import { logsCommand } from './logs/command.ts';
import { modelsCommand } from './models/command.ts';
import { ROLLOUT_COMMANDS } from './rollout/commands.ts';
import { statusCommand } from './status/command.ts';
import { versionCommand } from './version.ts';

export const COMMANDS: readonly Command[] = [
  statusCommand,
  analyzeCommand,
  modelsCommand,
  logsCommand,
  ...ROLLOUT_COMMANDS,
  versionCommand,
];
