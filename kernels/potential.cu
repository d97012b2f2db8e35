// Potential problems: the parts of a multigrid V-cycle and of conjugate gradients.
//
// Twin of irplan/compute/cpu/multigrid.py, which says what the arrays mean.  All levels lie in flat
// buffers of `size` entries; a level is a block at `offset` of (nz + 2)(ny + 2)(nx + 2) cells, padded
// by one cell of zero conductance.  g holds 8 such buffers: conductance to the lower neighbour along
// column, row and slice, conductance to zero volts, inverse diagonal, and the interpolation's
// weights along column, row and slice.  One thread a cell: blocks of 32 x 8 in a slice,
// blockIdx.z the slice.

#define BLOCK_X 32
#define BLOCK_Y 8
#define BLOCK (BLOCK_X * BLOCK_Y)

struct Place { int z, y, x, i, sy, sz; bool inside; };

__device__ static inline Place place(int nz, int ny, int nx, int offset)
{
    Place p;
    p.z = blockIdx.z;
    p.y = blockIdx.y * BLOCK_Y + threadIdx.y;
    p.x = blockIdx.x * BLOCK_X + threadIdx.x;
    p.sy = nx + 2;
    p.sz = (ny + 2) * (nx + 2);
    p.i = offset + (p.z + 1) * p.sz + (p.y + 1) * p.sy + p.x + 1;
    p.inside = p.z < nz && p.y < ny && p.x < nx;
    return p;
}

// Current out of cell i at the potentials v, less what `own` takes: -(sum of flows in).
__device__ static inline float net(const float* v, const float* g, int size, Place p)
{
    const float *gx = g, *gy = g + size, *gz = g + 2 * (long long)size;
    const int i = p.i;
    const float here = v[i];
    return gx[i] * (v[i - 1] - here) + gx[i + 1] * (v[i + 1] - here)
        + gy[i] * (v[i - p.sy] - here) + gy[i + p.sy] * (v[i + p.sy] - here)
        + gz[i] * (v[i - p.sz] - here) + gz[i + p.sz] * (v[i + p.sz] - here);
}

// First Chebyshev step from zero: d = x = gain D^-1 b.
extern "C" __global__ void potential_first(
    float* x, float* d, const float* __restrict__ b, const float* __restrict__ g, int size,
    int nz, int ny, int nx, int offset, float gain)
{
    const Place p = place(nz, ny, nx, offset);
    if (!p.inside) return;
    const float e = gain * g[4 * (long long)size + p.i] * b[p.i];
    d[p.i] = e;
    x[p.i] = e;
}

// Chebyshev step: d = memory d + gain D^-1 (b - A x), y = x + d.
extern "C" __global__ void potential_smooth(
    const float* __restrict__ x, float* d, float* y, const float* __restrict__ b,
    const float* __restrict__ g, int size, int nz, int ny, int nx, int offset, float memory,
    float gain)
{
    const Place p = place(nz, ny, nx, offset);
    if (!p.inside) return;
    const float own = g[3 * (long long)size + p.i], inverse = g[4 * (long long)size + p.i];
    const float r = b[p.i] - own * x[p.i] + net(x, g, size, p);
    const float e = memory * d[p.i] + gain * inverse * r;
    d[p.i] = e;
    y[p.i] = x[p.i] + e;
}

// out = b - A x.
extern "C" __global__ void potential_residual(
    const float* __restrict__ x, float* out, const float* __restrict__ b,
    const float* __restrict__ g, int size, int nz, int ny, int nx, int offset)
{
    const Place p = place(nz, ny, nx, offset);
    if (!p.inside) return;
    out[p.i] = b[p.i] - g[3 * (long long)size + p.i] * x[p.i] + net(x, g, size, p);
}

__device__ static inline void write_sum(double value, double* sums)
{
    __shared__ double shared[BLOCK];
    const int n = threadIdx.y * BLOCK_X + threadIdx.x;
    shared[n] = value;
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (n < half) shared[n] += shared[n + half];
        __syncthreads();
    }
    if (n == 0) sums[(blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = shared[0];
}

// out = A x, and per block the sum of x . out.
extern "C" __global__ void potential_apply(
    const float* __restrict__ x, float* out, const float* __restrict__ g, int size,
    int nz, int ny, int nx, int offset, double* sums)
{
    const Place p = place(nz, ny, nx, offset);
    double product = 0.0;
    if (p.inside) {
        const float a = g[3 * (long long)size + p.i] * x[p.i] - net(x, g, size, p);
        out[p.i] = a;
        product = (double)a * (double)x[p.i];
    }
    write_sum(product, sums);
}

// Per block the sum of a . b.
extern "C" __global__ void potential_dot(
    const float* __restrict__ a, const float* __restrict__ b, int nz, int ny, int nx, int offset,
    double* sums)
{
    const Place p = place(nz, ny, nx, offset);
    write_sum(p.inside ? (double)a[p.i] * (double)b[p.i] : 0.0, sums);
}

// v += alpha p, r -= alpha q; and p = z + beta p (for the next direction).
extern "C" __global__ void potential_advance(
    float* v, float* r, const float* __restrict__ p_all, const float* __restrict__ q, float alpha,
    int nz, int ny, int nx, int offset)
{
    const Place p = place(nz, ny, nx, offset);
    if (!p.inside) return;
    v[p.i] += alpha * p_all[p.i];
    r[p.i] -= alpha * q[p.i];
}

extern "C" __global__ void potential_turn(
    float* p_all, const float* __restrict__ z, float beta, int nz, int ny, int nx, int offset)
{
    const Place p = place(nz, ny, nx, offset);
    if (p.inside) p_all[p.i] = z[p.i] + beta * p_all[p.i];
}

// coarse = transpose of the interpolation applied to fine (both flat buffers; one thread a coarse
// cell).  side: -1, 0, 1, where the other parent of a fine cell lies, per axis; child: (first,
// count) of a coarse cell's children, per axis.
extern "C" __global__ void potential_restrict(
    const float* __restrict__ fine, float* coarse, const float* __restrict__ g, int size,
    int nzf, int nyf, int nxf, int offset_fine, int nz, int ny, int nx, int offset,
    const int* __restrict__ side_z, const int* __restrict__ side_y, const int* __restrict__ side_x,
    const int* __restrict__ child_z, const int* __restrict__ child_y,
    const int* __restrict__ child_x)
{
    const Place p = place(nz, ny, nx, offset);
    if (!p.inside) return;
    const float *wx = g + 5 * (long long)size, *wy = wx + size, *wz = wy + size;
    const int z0 = child_z[2 * p.z], z1 = z0 + child_z[2 * p.z + 1];
    const int y0 = child_y[2 * p.y], y1 = y0 + child_y[2 * p.y + 1];
    const int x0 = child_x[2 * p.x], x1 = x0 + child_x[2 * p.x + 1];
    const int sy = nxf + 2, sz = (nyf + 2) * (nxf + 2);
    float total = 0.0f;
    for (int z = max(0, z0 - 1); z < min(nzf, z1 + 1); ++z) {
        const bool in_z = z >= z0 && z < z1;
        if (!in_z && side_z[z] != (z < z0 ? 1 : -1)) continue;
        for (int y = max(0, y0 - 1); y < min(nyf, y1 + 1); ++y) {
            const bool in_y = y >= y0 && y < y1;
            if (!in_y && (!in_z || side_y[y] != (y < y0 ? 1 : -1))) continue;
            const int row = offset_fine + (z + 1) * sz + (y + 1) * sy + 1;
            for (int x = max(0, x0 - 1); x < min(nxf, x1 + 1); ++x) {
                const bool in_x = x >= x0 && x < x1;
                const bool both = in_z && in_y;
                if (!in_x && (!both || side_x[x] != (x < x0 ? 1 : -1))) continue;
                const int i = row + x;
                float w = 1.0f - wx[i] - wy[i] - wz[i];
                if (!in_x) w = wx[i];
                else if (!in_y) w = wy[i];
                else if (!in_z) w = wz[i];
                total += w * fine[i];
            }
        }
    }
    coarse[p.i] = total;
}

// fine += interpolation of coarse (one thread a fine cell).  parent: the coarse cell a fine cell
// lies in, per axis.
extern "C" __global__ void potential_prolong(
    float* fine, const float* coarse, const float* __restrict__ g, int size,
    int nzf, int nyf, int nxf, int offset_fine, int ny, int nx, int offset,
    const int* __restrict__ parent_z, const int* __restrict__ parent_y,
    const int* __restrict__ parent_x, const int* __restrict__ side_z,
    const int* __restrict__ side_y, const int* __restrict__ side_x)
{
    const Place p = place(nzf, nyf, nxf, offset_fine);
    if (!p.inside) return;
    const float *wx = g + 5 * (long long)size, *wy = wx + size, *wz = wy + size;
    const int sy = nx + 2, sz = (ny + 2) * (nx + 2);
    const int c = offset + (parent_z[p.z] + 1) * sz + (parent_y[p.y] + 1) * sy + parent_x[p.x] + 1;
    const float e = coarse[c];
    fine[p.i] += e + wx[p.i] * (coarse[c + side_x[p.x]] - e)
        + wy[p.i] * (coarse[c + side_y[p.y] * sy] - e)
        + wz[p.i] * (coarse[c + side_z[p.z] * sz] - e);
}

// Symmetric Gauss-Seidel from zero on the coarsest level (some 80 cells): one thread.
extern "C" __global__ void potential_coarsest(
    float* y, const float* __restrict__ b, const float* __restrict__ g, int size,
    int nz, int ny, int nx, int offset, int sweeps)
{
    if (threadIdx.x + threadIdx.y + blockIdx.x + blockIdx.y + blockIdx.z > 0) return;
    const float *gx = g, *gy = g + size, *gz = g + 2 * (long long)size;
    const int sy = nx + 2, sz = (ny + 2) * (nx + 2), cells = nz * ny * nx;
    for (int sweep = -1; sweep < 2 * sweeps; ++sweep)
        for (int n = 0; n < cells; ++n) {
            const int m = sweep % 2 == 0 ? n : cells - 1 - n;
            const int i = offset + (m / (ny * nx) + 1) * sz + (m / nx % ny + 1) * sy + m % nx + 1;
            if (sweep < 0) {
                y[i] = 0.0f;
                continue;
            }
            y[i] = g[4 * (long long)size + i]
                * (b[i] + gx[i] * y[i - 1] + gx[i + 1] * y[i + 1] + gy[i] * y[i - sy]
                   + gy[i + sy] * y[i + sy] + gz[i] * y[i - sz] + gz[i + sz] * y[i + sz]);
        }
}
