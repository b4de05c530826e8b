export async function arm64() {}
export async function musl() {}
