-- The marketplace's application database, as its developers would have written it.
-- Every table carries created_at (when the row was written here) and updated_at (last change): the loader's watermark.
-- payments.order_id has no foreign key on purpose: payments are written by the payment provider's webhook,
-- which may arrive before its order, or for an order that never existed.

create type order_status as enum ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'refunded');
create type payment_status as enum ('authorized', 'captured', 'failed', 'refunded');
create type payment_method as enum ('card', 'paypal', 'bank_transfer', 'wallet');
create type bid_status as enum ('active', 'outbid', 'won', 'withdrawn');
create type product_condition as enum ('new', 'like_new', 'good', 'fair', 'poor');
create type listing_status as enum ('draft', 'active', 'sold', 'withdrawn');

create table customers (
    customer_id bigint primary key,
    email text not null,
    full_name text not null,
    phone text,
    city text not null,
    state_code text not null,
    postal_code text not null,
    country_code char(2) not null default 'US',
    is_marketing_opt_in boolean not null default false,
    preferences jsonb not null default '{}',
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table vendors (
    vendor_id bigint primary key,
    vendor_name text not null,
    contact_email text not null,
    state_code text not null,
    commission_rate numeric(5, 4) not null,
    specialties text[] not null default '{}',
    is_active boolean not null default true,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table categories (
    category_id integer primary key,
    parent_category_id integer references categories,
    category_name text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table products (
    product_id bigint primary key,
    vendor_id bigint not null references vendors,
    category_id integer not null references categories,
    title text not null,
    price numeric(12, 2) not null,
    currency_code char(3) not null,
    condition product_condition not null,
    listing_status listing_status not null,
    tags text[] not null default '{}',
    attributes jsonb not null default '{}',
    listed_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table bids (
    bid_id bigint primary key,
    product_id bigint not null references products,
    customer_id bigint not null references customers,
    bid_amount numeric(12, 2) not null,
    currency_code char(3) not null,
    bid_status bid_status not null,
    bid_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table orders (
    order_id bigint primary key,
    customer_id bigint not null references customers,
    order_status order_status not null,
    currency_code char(3) not null,
    shipping_amount numeric(12, 2) not null,
    discount_amount numeric(12, 2) not null default 0,
    shipping_address jsonb not null,
    ordered_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table order_items (
    order_item_id bigint primary key,
    order_id bigint not null references orders on delete cascade,
    product_id bigint not null references products,
    quantity integer not null,
    unit_price numeric(12, 2) not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table payments (
    payment_id bigint primary key,
    order_id bigint not null,
    customer_id bigint not null references customers,
    payment_method payment_method not null,
    payment_status payment_status not null,
    amount numeric(12, 2) not null,
    currency_code char(3) not null,
    paid_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table reviews (
    review_id bigint primary key,
    product_id bigint not null references products,
    customer_id bigint not null references customers,
    rating smallint not null,
    review_text text,
    reviewed_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- Append-only and by far the largest table: no update, no delete, and a customer only when signed in.
create table listing_views (
    view_id bigint primary key,
    product_id bigint not null references products,
    customer_id bigint references customers,
    session_id uuid not null,
    device text not null,
    referrer text,
    duration_seconds integer not null,
    viewed_at timestamptz not null,
    created_at timestamptz not null
);

create index on products (updated_at);
create index on products (vendor_id);
create index on bids (updated_at);
create index on bids (product_id);
create index on customers (updated_at);
create index on orders (updated_at);
create index on orders (customer_id);
create index on order_items (updated_at);
create index on order_items (order_id);
create index on payments (updated_at);
create index on payments (order_id);
create index on reviews (updated_at);
create index on listing_views (created_at);
