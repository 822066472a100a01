/** Changes of several sessions that the same lines of two policies make. */
import type { Change, Finding } from './differences.ts';

/** Mail that the same lines of the policy now treat in the same other way. */
export interface ChangeGroup extends Pick<Change, 'kind' | 'stage'> {
  /** `file:line` that the callback returned from, before and now; '' where none was called. */
  readonly before: string;
  readonly after: string;
  readonly sessions: number;
  readonly example: {
    readonly session: string;
    readonly time: string;
    readonly client: string;
    readonly sender: string;
    readonly queueId?: string;
  } & Pick<Change, 'command' | 'before' | 'after' | 'edits'>;
}

/** A group with this change, of which no session is counted yet. */
export function groupOf(
  { kind, stage, command, queueId, before, after, edits }: Change,
  { session, began, client, sender }: Pick<Finding, 'session' | 'began' | 'client' | 'sender'>,
): ChangeGroup {
  return {
    kind,
    stage,
    before: before.where,
    after: after.where,
    sessions: 0,
    example: {
      session,
      time: new Date(began).toISOString(),
      client,
      sender,
      ...(queueId !== undefined && { queueId }),
      command,
      before,
      after,
      edits,
    },
  };
}
