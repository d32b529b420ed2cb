/** Turns a tools/call result into { isError, text, structured }. */
export function plain(result) {
  return {
    isError: result.isError ?? false,
    text: (result.content ?? []).filter(c => c.type === 'text').map(c => c.text).join('\n'),
    structured: result.structuredContent,
  }
}
