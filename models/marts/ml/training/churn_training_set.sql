with

final as (

    {{
        training_set(
            labels=ref('churn_labels'),
            entity='customer_id',
            label='is_churned',
            features=[
                {
                    'relation': ref('customer_features'),
                    'columns': [
                        'state_code', 'currency_code', 'order_count', 'order_count_30d',
                        'order_count_90d', 'order_count_365d', 'item_count_365d',
                        'items_amount_90d', 'items_amount_365d', 'average_items_amount_365d',
                        'refund_count_365d', 'bid_count_90d', 'review_count_365d',
                        'view_count_30d', 'view_count_90d', 'days_since_registration',
                        'days_since_last_order', 'is_marketing_opt_in',
                    ],
                },
            ],
        )
    }}

)

select * from final
