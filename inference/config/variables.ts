/** What the schema of the configuration says of each variable, for those who load, print and document it. */
import { environment } from './config.ts';

export interface Variable {
  readonly name: string;
  readonly description: string;
  /** As text; undefined where the schema has none. */
  readonly fallback: string | undefined;
  /** Its value is never shown, and it may be given as a file: NAME_FILE. */
  readonly isSecret: boolean;
  /** Its value is a path that has to be readable. */
  readonly isPath: boolean;
}

export const variables: readonly Variable[] = Object.entries(environment.shape).map(([name, schema]) => {
  const { secret, path } = schema.meta() ?? {};
  const { data } = schema.safeParse(undefined);
  return {
    name,
    description: schema.description ?? '',
    fallback: data === undefined ? undefined : String(data),
    isSecret: secret === true,
    isPath: path === true,
  };
});

/** The variable that names a file with the value of a secret, as container platforms mount them. */
export function fileVariable(name: string): string {
  return `${name}_FILE`;
}
