// Fluoroscopy filter: one thread an output value, of a frame, of its half or its quarter.
//
// Twins of irplan/compute/cpu/fluoro_temporal.py and fluoro_spatial.py, which say what the arrays
// mean; same order of operations.  Arrays are row after row; rows and columns are those of the full
// frame (multiples of 8) unless a comment says otherwise.  float32 throughout, counts uint8.

#define BLOCK 256

__device__ static inline int inside(int v, int n) { return v < 0 ? 0 : (v >= n ? n - 1 : v); }
__device__ static inline float step_of(float t)
{
    t = fminf(fmaxf(t, 0.0f), 1.0f);
    return t * t * (3.0f - 2.0f * t);
}

extern "C" __global__ void fluoro_stabilise(const float* __restrict__ y, float gain, float extra,
    float offset, int size, float* __restrict__ out)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n < size) out[n] = 2.0f / gain * sqrtf(fmaxf(gain * (y[n] - offset) + extra, 0.0f));
}

extern "C" __global__ void fluoro_unstabilise(const float* __restrict__ x, float gain, float extra,
    float offset, int size, float* __restrict__ out)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= size) return;
    const float v = fmaxf(x[n], 0.0f);
    out[n] = 0.25f * gain * v * v - extra + offset;
}

// A thread a value of `quarter`: innovation of its 4 x 4 pixels, and the means.
extern "C" __global__ void fluoro_innovation(const float* __restrict__ d,
    const float* __restrict__ m1, const float* __restrict__ m2,
    const unsigned char* __restrict__ count, float mix, const float* __restrict__ scale, int rows,
    int columns, float* __restrict__ e, float* __restrict__ half, float* __restrict__ quarter)
{
    const int across = columns / 4, n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows / 4 * across) return;
    const int q = n / across, k = n % across;
    float sum = 0.0f;
    for (int a = 0; a < 2; ++a)
        for (int b = 0; b < 2; ++b) {
            const int i = 4 * q + 2 * a, j = 4 * k + 2 * b;
            float four = 0.0f;
            for (int y = 0; y < 2; ++y)
                for (int x = 0; x < 2; ++x) {
                    const int at = (i + y) * columns + j + x;
                    const float v = d[at] - (mix * m1[at] + (1.0f - mix) * m2[at]);
                    e[at] = v;
                    four += v;
                }
            const float value = 0.25f * scale[count[i * columns + j]] * four;
            half[(i / 2) * (columns / 2) + j / 2] = value;
            sum += value;
        }
    quarter[n] = 0.25f * sum;
}

// `x` (rows, columns of any picture) smoothed by 1-2-1 into the middle of `out`, `pad` wider.
extern "C" __global__ void fluoro_soften(const float* __restrict__ x, int pad, int rows,
    int columns, float* __restrict__ out)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows * columns) return;
    const int i = n / columns, j = n % columns;
    float v[3];
    for (int k = 0; k < 3; ++k) {
        const int c = inside(j + k - 1, columns);
        v[k] = 0.25f * (x[inside(i - 1, rows) * columns + c] + 2.0f * x[i * columns + c]
                           + x[inside(i + 1, rows) * columns + c]);
    }
    const bool edge = j == 0 || j == columns - 1;
    out[(i + pad) * (columns + 2 * pad) + j + pad]
        = edge ? v[1] : 0.25f * (v[0] + 2.0f * v[1] + v[2]);
}

// A thread a value of the half picture (rows, columns are its own): strongest line of 21 taps.
extern "C" __global__ void fluoro_lines(const float* __restrict__ padded,
    const int* __restrict__ offsets, const int* __restrict__ far, int orientations, float spare,
    int rows, int columns, float* __restrict__ best, float* __restrict__ which)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows * columns) return;
    const int i = n / columns, j = n % columns, wide = columns + 20;
    float top = 0.0f, at = 0.0f;
    for (int o = 0; o < orientations; ++o) {
        float piece[3];
        for (int p = 0; p < 3; ++p) {
            const int y = i + 7 + (p - 1) * far[2 * o], x = j + 7 + (p - 1) * far[2 * o + 1];
            float sum = 0.0f;
            for (int k = 0; k < 7; ++k) {
                const int* f = offsets + 2 * (7 * o + k);
                sum += padded[(y + f[0]) * wide + x + f[1]];
            }
            piece[p] = sum;
        }
        const float low = fminf(piece[0], piece[1]), high = fmaxf(piece[0], piece[1]);
        const float middle = fmaxf(low, fminf(high, piece[2])), most = spare + fabsf(middle);
        float v = 0.0f;
        for (int p = 0; p < 3; ++p)
            v += fminf(fmaxf(piece[p], middle - most), middle + most);
        v *= 1.0f / 21.0f;
        if (fabsf(v) > fabsf(top)) {
            top = v;
            at = (float)o;
        }
    }
    best[n] = top;
    which[n] = at;
}

// A thread a value of `gate` (half; rows, columns are its own).
extern "C" __global__ void fluoro_gate(const float* __restrict__ line,
    const float* __restrict__ support, float low, float span, float drop, int rows, int columns,
    float* __restrict__ gate)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows * columns) return;
    const float limit = low - drop * support[(n / columns / 2) * (columns / 2) + n % columns / 2];
    gate[n] = step_of((fabsf(line[n]) - limit) / span);
}

// A thread a value of the quarter picture (rows, columns are its own).
extern "C" __global__ void fluoro_pooled(const float* __restrict__ gate, int rows, int columns,
    float* __restrict__ out)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows * columns) return;
    const float* a = gate + 2 * (n / columns) * 2 * columns + 2 * (n % columns);
    out[n] = fmaxf(fmaxf(a[0], a[1]), fmaxf(a[2 * columns], a[2 * columns + 1]));
}

extern "C" __global__ void fluoro_support(const float* __restrict__ pool, float least, float span,
    int rows, int columns, float* __restrict__ out)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows * columns) return;
    const int i = n / columns, j = n % columns;
    float sum = 0.0f;
    for (int x = j - 3; x <= j + 3; ++x) {
        if (x < 0 || x >= columns) continue;
        for (int y = i - 3; y <= i + 3; ++y) sum += pool[inside(y, rows) * columns + x];
    }
    out[n] = fminf(fmaxf((sum * (1.0f / 49.0f) - least) / span, 0.0f), 1.0f);
}

// Gates of areas and dots, a thread a value of `quarter` (rows, columns are its own).
extern "C" __global__ void fluoro_areas(const float* __restrict__ quarter,
    const float* __restrict__ half, float over_area, float over_noise2, float over_dot,
    const float* __restrict__ limits, int rows, int columns, float* __restrict__ area,
    float* __restrict__ dot)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows * columns) return;
    const int i = n / columns, j = n % columns;
    float mean = 0.0f, energy = 0.0f;
    for (int a = -2; a <= 2; ++a)
        for (int b = -2; b <= 2; ++b) {
            const float v = quarter[inside(i + a, rows) * columns + inside(j + b, columns)];
            energy += v * v;
            if (a > -2 && a < 2 && b > -2 && b < 2) mean += v;
        }
    const float z = fabsf(mean) * (1.0f / 9.0f) * over_area;
    const float t = fminf(fmaxf((z - limits[0]) * limits[1], 0.0f), 1.0f);
    const float u = fminf(fmaxf((energy * 0.04f * over_noise2 - limits[2]) * limits[3], 0.0f), 1.0f);
    area[n] = step_of(fmaxf(t, u));
    float strongest = 0.0f;
    for (int a = 0; a < 2; ++a)
        for (int b = 0; b < 2; ++b) {
            float sum = 0.0f;
            for (int y = -1; y <= 1; ++y)
                for (int x = -1; x <= 1; ++x)
                    sum += half[inside(2 * i + a + y, 2 * rows) * 2 * columns
                        + inside(2 * j + b + x, 2 * columns)];
            strongest = fmaxf(strongest, fabsf(sum));
        }
    dot[n] = step_of((strongest * (1.0f / 9.0f) * over_dot - limits[4]) * limits[5]);
}

// Value of a quarter picture at pixel (i, j), linear.
__device__ static float of_quarter(const float* __restrict__ small, int rows, int columns, int i,
    int j)
{
    const float v = ((float)i - 1.5f) * 0.25f, u = ((float)j - 1.5f) * 0.25f;
    const int a = (int)floorf(v), b = (int)floorf(u);
    const float t = v - (float)a, s = u - (float)b;
    const float* upper = small + inside(a, rows) * columns;
    const float* lower = small + inside(a + 1, rows) * columns;
    const int p = inside(b, columns), q = inside(b + 1, columns);
    const float left = upper[p] + t * (lower[p] - upper[p]);
    const float right = upper[q] + t * (lower[q] - upper[q]);
    return left + s * (right - left);
}

// Mean of `x` along a line through (i, j); taps beyond an edge repeat it.
__device__ static float along(const float* __restrict__ x, const int* __restrict__ offsets, int o,
    int taps, int rows, int columns, int i, int j)
{
    float sum = 0.0f;
    for (int k = 0; k < taps; ++k) {
        const int* f = offsets + 2 * (taps * o + k);
        sum += x[inside(i + f[0] - taps / 2, rows) * columns
            + inside(j + f[1] - taps / 2, columns)];
    }
    return sum / (float)taps;
}

// A thread a pixel: what is shown, and the memories' next values.
extern "C" __global__ void fluoro_remember(const float* __restrict__ e, float* __restrict__ m1,
    float* __restrict__ m2, unsigned char* __restrict__ count, float mix,
    const float* __restrict__ gain1, const float* __restrict__ gain2,
    const float* __restrict__ show, const float* __restrict__ gate,
    const float* __restrict__ which, const int* __restrict__ offsets, int taps,
    const float* __restrict__ coarse, const float* __restrict__ area,
    const float* __restrict__ dot, float follow, float forget, float most, int rows, int columns,
    float* __restrict__ x)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows * columns) return;
    const int i = n / columns, j = n % columns;
    float known = of_quarter(coarse, rows / 4, columns / 4, i, j);
    float moved = of_quarter(area, rows / 4, columns / 4, i, j);
    const float opened = of_quarter(dot, rows / 4, columns / 4, i, j);
    const int h = (i / 2) * (columns / 2) + j / 2;
    if (gate[h] > 0.0f) {
        known += gate[h] * (along(e, offsets, (int)which[h], taps, rows, columns, i, j) - known);
        moved = fmaxf(moved, gate[h]);
    }
    const int c = count[n];
    const float w = e[n], m = mix * m1[n] + (1.0f - mix) * m2[n];
    const float large = fmaxf(show[c], opened), d = m + w, step = follow * known;
    x[n] = m + large * w + (1.0f - large) * known;
    const float a = m1[n] + step, b = m2[n] + step;
    m1[n] = a + gain1[c] * (d - a);
    m2[n] = b + gain2[c] * (d - b);
    const float left = (float)c * (1.0f - forget * fmaxf(moved, opened)) + 4.0f;
    count[n] = (unsigned char)fminf(left, most);
}

// `out` (rows, columns are its own) = 2 x 2 means of `x`.
extern "C" __global__ void fluoro_halved(const float* __restrict__ x, int rows, int columns,
    float* __restrict__ out)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows * columns) return;
    const float* a = x + 2 * (n / columns) * 2 * columns + 2 * (n % columns);
    out[n] = 0.25f * (a[0] + a[1] + a[2 * columns] + a[2 * columns + 1]);
}

// Value at (i, j) of a picture twice as large as `small` (rows, columns are the large one's).
__device__ static float doubled(const float* __restrict__ small, int rows, int columns, int i,
    int j)
{
    const int r = rows / 2, c = columns / 2;
    const int a = i / 2, b = inside(i % 2 ? a + 1 : a - 1, r);
    const int p = j / 2, q = inside(j % 2 ? p + 1 : p - 1, c);
    const float near = 0.75f * small[a * c + p] + 0.25f * small[b * c + p];
    const float next = 0.75f * small[a * c + q] + 0.25f * small[b * c + q];
    return 0.75f * near + 0.25f * next;
}

extern "C" __global__ void fluoro_band(const float* __restrict__ x,
    const float* __restrict__ small, int rows, int columns, float* __restrict__ out)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n < rows * columns) out[n] = x[n] - doubled(small, rows, columns, n / columns, n % columns);
}

extern "C" __global__ void fluoro_joined(const float* __restrict__ detail, float gain,
    const float* __restrict__ small, int rows, int columns, float* __restrict__ out)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n < rows * columns)
        out[n] = gain * detail[n] + doubled(small, rows, columns, n / columns, n % columns);
}

extern "C" __global__ void fluoro_finest(const float* __restrict__ x,
    const float* __restrict__ plain, const float* __restrict__ base, float gain,
    const float* __restrict__ gate, const float* __restrict__ which,
    const int* __restrict__ offsets, int taps, float sharpen, int rows, int columns,
    float* __restrict__ out)
{
    const int n = blockIdx.x * BLOCK + threadIdx.x;
    if (n >= rows * columns) return;
    const int i = n / columns, j = n % columns, h = (i / 2) * (columns / 2) + j / 2;
    const float low = doubled(plain, rows, columns, i, j);
    float v = low + gain * (x[n] - doubled(base, rows, columns, i, j));
    if (gate[h] > 0.0f) {
        float kept = along(x, offsets, (int)which[h], taps, rows, columns, i, j);
        kept += sharpen * (kept - low);
        v += gate[h] * (kept - v);
    }
    out[n] = v;
}
