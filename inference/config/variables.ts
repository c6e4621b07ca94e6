/** What the schema of the configuration says of each variable, for those who load, print and document it. */
import { environment } from './config.ts';

export interface Variable {
  readonly name: string;
  readonly description: string;
  /** As text; undefined where the schema has none. */
  readonly fallback: string | undefined;
  /** Its value is never shown. */
  readonly isSecret: boolean;
  /** The variable that names a file with the value of a secret, as container platforms mount them: NAME_FILE. */
  readonly fileVariable: string | undefined;
  /** Its value is a path that has to be readable. */
  readonly isPath: boolean;
  /** Its value is JSON, which a YAML file may write as YAML. */
  readonly isStructured: boolean;
}

export const variables: readonly Variable[] = Object.entries(environment.shape).map(([name, schema]) => {
  const { secret, path, structured } = schema.meta() ?? {};
  const { data } = schema.safeParse(undefined);
  // A file that is read again when it changes is a variable of its own.
  const hasFile = secret === true && !(`${name}_FILE` in environment.shape);
  return {
    name,
    description: schema.description ?? '',
    fallback: data === undefined ? undefined : String(data),
    isSecret: secret === true,
    fileVariable: hasFile ? `${name}_FILE` : undefined,
    isPath: path === true,
    isStructured: structured === true,
  };
});
