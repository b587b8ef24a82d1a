-- The words of the demo: places, names, categories.

create table haven_demo.places (
    place_id bigint primary key generated always as identity,
    city text not null,
    state_code text not null,
    postal_prefix text not null
);

-- Large cities first: a place is chosen the more often the earlier it stands here.
insert into haven_demo.places (city, state_code, postal_prefix)
values
('New York', 'NY', '100'), ('Los Angeles', 'CA', '900'), ('Chicago', 'IL', '606'),
('Houston', 'TX', '770'), ('Brooklyn', 'NY', '112'), ('Phoenix', 'AZ', '850'),
('Philadelphia', 'PA', '191'), ('San Antonio', 'TX', '782'), ('San Diego', 'CA', '921'),
('Dallas', 'TX', '752'), ('Jacksonville', 'FL', '322'), ('Austin', 'TX', '787'),
('San Jose', 'CA', '951'), ('Columbus', 'OH', '432'), ('Charlotte', 'NC', '282'),
('Indianapolis', 'IN', '462'), ('San Francisco', 'CA', '941'), ('Seattle', 'WA', '981'),
('Denver', 'CO', '802'), ('Washington', 'DC', '200'), ('Boston', 'MA', '021'),
('Nashville', 'TN', '372'), ('Miami', 'FL', '331'), ('Detroit', 'MI', '482'),
('Portland', 'OR', '972'), ('Las Vegas', 'NV', '891'), ('Atlanta', 'GA', '303'),
('Minneapolis', 'MN', '554'), ('Sacramento', 'CA', '958'), ('Tampa', 'FL', '336'),
('Oklahoma City', 'OK', '731'), ('Louisville', 'KY', '402'), ('Baltimore', 'MD', '212'),
('Milwaukee', 'WI', '532'), ('Albuquerque', 'NM', '871'), ('Kansas City', 'MO', '641'),
('Omaha', 'NE', '681'), ('Raleigh', 'NC', '276'), ('Virginia Beach', 'VA', '234'),
('New Orleans', 'LA', '701'), ('Wichita', 'KS', '672'), ('Newark', 'NJ', '071'),
('Birmingham', 'AL', '352'), ('Salt Lake City', 'UT', '841'), ('Des Moines', 'IA', '503'),
('Boise', 'ID', '837'), ('Little Rock', 'AR', '722'), ('Hartford', 'CT', '061'),
('Charleston', 'SC', '294'), ('Providence', 'RI', '029'), ('Jackson', 'MS', '392'),
('Pittsburgh', 'PA', '152'), ('Cleveland', 'OH', '441'), ('Honolulu', 'HI', '968'),
('Anchorage', 'AK', '995'), ('Manchester', 'NH', '031'), ('Wilmington', 'DE', '198'),
('Billings', 'MT', '591'), ('Fargo', 'ND', '581'), ('Sioux Falls', 'SD', '571'),
('Portland', 'ME', '041'), ('Burlington', 'VT', '054'), ('Cheyenne', 'WY', '820'),
('Huntington', 'WV', '257');

create table haven_demo.words as
select
    array[
        'Maria', 'James', 'Olivia', 'Liam', 'Emma', 'Noah', 'Ava', 'Sophia', 'Elijah', 'Isabella',
        'Lucas', 'Mia', 'Mateo', 'Amelia', 'Ethan', 'Harper', 'Daniel', 'Camila', 'Henry', 'Gianna',
        'Samuel', 'Abigail', 'David', 'Luna', 'Joseph', 'Ella', 'Carter', 'Sofia', 'Owen', 'Avery',
        'Wyatt', 'Scarlett', 'John', 'Emily', 'Jack', 'Aria', 'Luke', 'Penelope', 'Jayden', 'Chloe',
        'Grace', 'Wei', 'Priya', 'Ahmed', 'Fatima', 'Hiroshi', 'Linh', 'Omar', 'Ingrid', 'Kwame'
    ] as first_names,
    array[
        'Smith', 'Johnson', 'Williams', 'Brown', 'Jones', 'Garcia', 'Miller', 'Davis', 'Rodriguez',
        'Martinez', 'Hernandez', 'Lopez', 'Gonzalez', 'Wilson', 'Anderson', 'Thomas', 'Taylor',
        'Moore', 'Jackson', 'Martin', 'Lee', 'Perez', 'Thompson', 'White', 'Harris', 'Sanchez',
        'Clark', 'Ramirez', 'Lewis', 'Robinson', 'Walker', 'Young', 'Allen', 'King', 'Wright',
        'Scott', 'Torres', 'Nguyen', 'Hill', 'Flores', 'Green', 'Adams', 'Nelson', 'Baker', 'Hall',
        'Rivera', 'Campbell', 'Mitchell', 'Patel', 'Kim', 'Chen', 'Okafor', 'Schmidt', 'Rossi'
    ] as last_names,
    array[
        'Maple Street', 'Oak Avenue', 'Washington Street', 'Lake Drive', 'Park Avenue',
        'Elm Street', 'Sunset Boulevard', 'Main Street', 'Cedar Lane', 'Hillcrest Road',
        'River Road', '2nd Street'
    ] as streets,
    array['example.com', 'example.org', 'example.net', 'mail.example.com'] as mail_domains,
    array[
        'Maple', 'Harbor', 'Juniper', 'Copper', 'Willow', 'Granite', 'Sparrow', 'Lantern',
        'Prairie', 'Cobalt', 'Thistle', 'Anchor', 'Magnolia', 'Ember', 'Summit', 'Velvet',
        'Orchard', 'Fable'
    ] as shop_names,
    array['Attic', 'Finds', 'Trading', 'Vintage', 'Outlet', 'Supply', 'House', 'Market']
        as shop_kinds,
    array[
        'Vintage', 'Compact', 'Handmade', 'Classic', 'Modern', 'Restored', 'Rare', 'Everyday',
        'Premium', 'Rustic', 'Mid-century', 'Foldable', 'Signed', 'Limited', 'Sturdy', 'Lightweight'
    ] as adjectives,
    array['black', 'white', 'navy', 'olive', 'walnut', 'red', 'grey', 'teal', 'brass'] as colors,
    array['gift', 'vintage', 'bargain', 'collectible', 'bundle', 'eco', 'refurbished'] as tags,
    array[
        'Exactly as described.', 'Arrived quickly and well packed.', 'Smaller than I expected.',
        'Great value, would buy again.', 'A few scratches, but works well.', 'My kids love it.',
        'The color is different from the photo.', 'Seller answered all my questions.'
    ] as review_texts;

insert into categories (category_id, parent_category_id, category_name, created_at, updated_at)
select
    8 * parents.child_no + parents.parent_no as category_id,
    case when parents.child_no > 0 then parents.parent_no end as parent_category_id,
    parents.names[parents.child_no + 1] as category_name,
    '2024-06-01 00:00:00+00'::timestamptz as created_at,
    '2024-06-01 00:00:00+00'::timestamptz as updated_at
from (
    select
        trees.parent_no,
        trees.names,
        generate_series(0, 4) as child_no
    from (
        values
        (1, array['Furniture', 'Chair', 'Table', 'Shelf', 'Sofa']),
        (2, array['Electronics', 'Laptop', 'Headphones', 'Camera', 'Speaker']),
        (3, array['Kitchen', 'Cookware', 'Mixer', 'Dinnerware', 'Coffee maker']),
        (4, array['Fashion', 'Jacket', 'Handbag', 'Sneakers', 'Watch']),
        (5, array['Sports', 'Bicycle', 'Tent', 'Skateboard', 'Dumbbell set']),
        (6, array['Collectibles', 'Coin', 'Comic', 'Stamp album', 'Figurine']),
        (7, array['Home decor', 'Lamp', 'Mirror', 'Rug', 'Vase']),
        (8, array['Toys and games', 'Board game', 'Model train', 'Puzzle', 'Doll house'])
    ) as trees (parent_no, names)
) as parents
order by category_id;
