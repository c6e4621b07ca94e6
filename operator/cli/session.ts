/** The cluster that a command line means. */

import { KubeClient } from '../runtime/client.ts';
import { messageOf } from '../runtime/errors.ts';
import { PooledKubeConfig } from '../runtime/kube-config.ts';
import { type GlobalValues, LONGEST_TIMER_MS, timerMs } from './arguments.ts';
import { CommandError, type Destination } from './errors.ts';

export interface Session extends Destination {
  readonly client: KubeClient;
  /** Of the option, the context, or `default`. */
  readonly namespace: string;
}

/** Where client-node turns when it finds no configuration at all. */
const NOWHERE = 'http://localhost:8080';

/** @throws CommandError where the kubeconfig cannot be used or lacks what was asked for */
export function openSession(globals: GlobalValues): Session {
  const config = loadConfig(globals.kubeconfig);
  if (globals.context !== undefined) config.setCurrentContext(globals.context);
  const context = config.getCurrentContext();
  const known = config.getContexts().map(({ name }) => name);
  const found = config.getContextObject(context);
  if (!found) throw noContext(context, known);
  const cluster = config.getCurrentCluster();
  if (!cluster) {
    throw new CommandError(
      `context ${context} names the cluster ${found.cluster}, which the kubeconfig lacks`,
    );
  }
  if (globals.as !== undefined) impersonate(config, found.user, globals.as);
  const timeoutMs = timerMs('request-timeout', globals['request-timeout']);
  const options = timeoutMs === undefined ? {} : { timeoutMs: timeoutMs || LONGEST_TIMER_MS };
  return {
    client: new KubeClient(config, options),
    namespace: globals.namespace ?? found.namespace ?? 'default',
    server: cluster.server,
    context,
  };
}

function loadConfig(path: string | undefined): PooledKubeConfig {
  const config = new PooledKubeConfig();
  const origin = path ?? process.env['KUBECONFIG'] ?? '~/.kube/config';
  try {
    if (path === undefined) config.loadFromDefault(undefined, true);
    else config.loadFromFile(path);
  } catch (error) {
    throw new CommandError(`the kubeconfig ${origin} cannot be read: ${messageOf(error)}`, 1, {
      cause: error,
    });
  }
  if (path === undefined && config.getCurrentCluster()?.server === NOWHERE && !process.env['KUBECONFIG']) {
    throw new CommandError('there is no kubeconfig: name one with --kubeconfig or KUBECONFIG');
  }
  return config;
}

function noContext(wanted: string | undefined, known: readonly string[]): CommandError {
  const choice = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
  return new CommandError(
    wanted
      ? `the kubeconfig has no context ${wanted}: ${choice}`
      : `the kubeconfig has no current context: choose one with --context (${choice})`,
  );
}

function impersonate(config: PooledKubeConfig, user: string, impersonateUser: string): void {
  const others = config.getUsers().filter(({ name }) => name !== user);
  const current = config.getUser(user) ?? { name: user };
  config.loadFromOptions({
    clusters: config.getClusters(),
    contexts: config.getContexts(),
    users: [...others, { ...current, impersonateUser }],
    currentContext: config.getCurrentContext(),
  });
}
