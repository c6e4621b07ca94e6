/** `status [NAME]`: what a ModelDeployment is made of and how it does. */
import { pino } from 'pino';
import { timerMs } from '../arguments.ts';
import { defineCommand } from '../command.ts';
import { EXIT, type ExitCode, noDeployment, usageError } from '../errors.ts';
import { showLive } from '../live.ts';
import { Notices } from '../notices.ts';
import { drawing, STRUCTURED, structured } from '../output.ts';
import type { Drawing } from '../text.ts';
import { Lens, type Scope } from './lens.ts';
import { renderList, renderTree } from './render.ts';
import type { DeploymentTree, Phase } from './tree.ts';

const EXIT_OF_PHASE: Readonly<Record<Phase, ExitCode>> = {
  Healthy: EXIT.ok,
  Progressing: EXIT.progressing,
  Paused: EXIT.paused,
  Degraded: EXIT.degraded,
};

export const statusCommand = defineCommand({
  name: 'status',
  summary: 'Shows a ModelDeployment with its models, pods, conditions and events, or lists all of them.',
  operands: [{ name: 'NAME', optional: true, completes: 'modeldeployments' }],
  options: {
    'all-namespaces': { type: 'boolean', short: 'A', help: 'List the ModelDeployments of every namespace.' },
    watch: { type: 'boolean', short: 'w', help: 'Stay, and show every change until Ctrl-C.' },
    timeout: { type: 'string', value: 'DURATION', help: 'End --watch after this long.' },
    output: {
      type: 'string',
      short: 'o',
      value: 'FORMAT',
      choices: STRUCTURED,
      help: 'Print the tree for programs.',
    },
  },
  details: `With NAME the exit code says how it does, at the end of --watch too: ${EXIT.ok} Healthy, ${EXIT.progressing} Progressing,
${EXIT.paused} Paused, ${EXIT.degraded} Degraded; ${EXIT.failed} if that could not be found out. A list ends with ${EXIT.ok}.`,
  run: async ({ values, operands: [name], shell, colours, connect }) => {
    if (name !== undefined && values['all-namespaces']) {
      throw usageError('a NAME is in one namespace: leave out --all-namespaces');
    }
    if (values.timeout !== undefined && !values.watch) throw usageError('--timeout ends --watch: give both');
    const timeoutMs = timerMs('timeout', values.timeout);
    const { client, namespace } = connect();
    const notices = new Notices(shell);
    const scope = { namespace: values['all-namespaces'] ? undefined : namespace, name };
    const lens = new Lens(client, scope, pino({ level: 'warn', base: null }, notices));
    await lens.read(shell.signal);

    const view = (now: number) =>
      structured(values.output, dataOf(lens, scope)) ?? pageOf(lens, scope, drawing(colours, now));
    if (values.watch) {
      const signal =
        timeoutMs === undefined
          ? shell.signal
          : AbortSignal.any([shell.signal, AbortSignal.timeout(timeoutMs)]);
      await showLive({
        output: shell.stdout,
        signal,
        view: (now) => [view(now), ...notices.current(now)].join('\n\n'),
        follow: (changed, stop) => lens.follow(changed, stop),
      });
    } else {
      shell.stdout.write(`${view(Date.now())}\n`);
    }
    return name === undefined ? EXIT.ok : EXIT_OF_PHASE[only(lens, scope).phase];
  },
});

/** What `-o` prints. */
const dataOf = (lens: Lens, scope: Scope) => (scope.name === undefined ? lens.trees() : only(lens, scope));

function pageOf(lens: Lens, scope: Scope, look: Drawing): string {
  if (scope.name !== undefined) return renderTree(only(lens, scope), look);
  const trees = lens.trees();
  const everywhere = scope.namespace === undefined;
  return trees.length === 0
    ? `there are no ModelDeployments in ${everywhere ? 'the cluster' : `namespace ${scope.namespace}`}`
    : renderList(trees, everywhere, look);
}

function only(lens: Lens, { name = '', namespace }: Scope): DeploymentTree {
  const [tree] = lens.trees();
  if (!tree) throw noDeployment(name, namespace);
  return tree;
}
